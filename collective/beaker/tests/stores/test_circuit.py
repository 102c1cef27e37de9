"""When a server that has not answered may be asked again."""

import pytest

from collective.beaker.stores import circuit
from collective.beaker.stores.circuit import PAUSE_SECONDS
from collective.beaker.stores.circuit import Circuit


@pytest.fixture
def let_pass(monkeypatch):
    """Return a function that lets seconds pass; else the time stands."""
    now = [0.0]
    monkeypatch.setattr(circuit.time, "monotonic", lambda: now[0])

    def let_pass(seconds):
        now[0] += seconds

    return let_pass


@pytest.fixture
def opened(let_pass):
    opened = Circuit()
    opened.open()
    return opened


def test_a_server_is_left_alone_for_some_seconds(opened, let_pass):
    let_pass(PAUSE_SECONDS - 1)
    with opened.trial() as may_try:
        assert not may_try
    let_pass(1)
    with opened.trial() as may_try:
        assert may_try


def test_one_at_a_time_tries(opened, let_pass):
    let_pass(PAUSE_SECONDS)
    with opened.trial() as first, opened.trial() as second:
        assert (first, second) == (True, False)
    with opened.trial() as may_try:
        assert may_try


def test_after_a_vain_trial_the_server_is_left_alone_again(opened, let_pass):
    let_pass(PAUSE_SECONDS)
    with opened.trial():
        opened.open()
    let_pass(PAUSE_SECONDS - 1)

    with opened.trial() as may_try:
        assert not may_try


def test_what_was_opened_is_closed_by_an_answer(opened):
    assert opened.is_open
    opened.close()
    assert not opened.is_open
