"""Counting the sessions that are stored."""

import math

import pytest

from collective.beaker.ids import new_id
from collective.beaker.maintenance import slices
from collective.beaker.maintenance.revoke import revoke
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.tests.helpers.stored_sessions import last


def test_a_survey_counts_sessions_and_their_ages(sessions):
    sessions.make()
    sessions.make(idle=120, age=2 * 24 * 60 * 60)
    sessions.make(idle=7200)

    found = last(survey(sessions.options))

    assert (found.sessions, found.expired) == (3, 1)
    assert found.idle == [1, 1, 1, 0, 0, 0]
    assert found.age == [1, 0, 1, 1, 0, 0]
    assert found.oldest == pytest.approx(2 * 24 * 60 * 60, abs=60)


def test_a_survey_knows_how_large_sessions_are(sessions):
    sessions.make()
    sessions.make(text="0123456789" * 2000)

    found = last(survey(sessions.options))

    assert found.size == [1, 0, 1, 0, 0]
    assert 20_000 < found.largest < found.bytes < 40_000


def test_a_survey_counts_what_is_empty_or_unreadable_apart(sessions):
    sessions.put("no session at all")
    sessions.put(sessions.session.policy.codec.encode({"_accessed_time": 1}))

    found = last(survey(sessions.options))

    assert (found.sessions, found.unreadable, found.empty) == (1, 1, 1)


@pytest.mark.parametrize(
    "value", [-math.inf, math.inf, math.nan, 1e11, -1e300, "now", True]
)
@pytest.mark.parametrize("key", ["_creation_time", "_accessed_time"])
def test_a_session_with_an_impossible_time_is_unreadable(
    file_sessions, key, value
):
    file_sessions.make(age=60, **{key: value})

    found = last(survey(file_sessions.options))

    assert (found.sessions, found.unreadable) == (1, 1)
    assert sum(found.age) == sum(found.idle) == found.oldest == 0
    assert last(sweep(file_sessions.options)).unreadable == 1


def test_a_survey_reports_in_slices(file_sessions, monkeypatch):
    monkeypatch.setattr(slices, "SLICE", 2)
    for _ in range(5):
        file_sessions.make()

    counts = [found.sessions for found in survey(file_sessions.options)]

    assert counts == [2, 4, 5, 5]


def test_an_empty_store_has_a_result_too(sessions):
    assert last(survey(sessions.options)).sessions == 0
    assert last(sweep(sessions.options)).looked_at == 0
    assert last(revoke_all(sessions.options)) == 0


def test_a_session_of_an_older_beaker_is_none_of_a_cache(file_sessions):
    # Both have names of 40 digits.
    id = new_id() + new_id()[:8]
    made = file_sessions.make(idle=7200)
    record = file_sessions.store.load(made)
    payload = file_sessions.store.payload(record)
    file_sessions.store.delete(made)

    assert file_sessions.store.swap(id, None, payload)
    assert last(survey(file_sessions.options)).sessions == 1
    assert last(sweep(file_sessions.options)).expired == 1
    assert file_sessions.store.swap(id, None, payload)
    assert revoke(file_sessions.options, id)
