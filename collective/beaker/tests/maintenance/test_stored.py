"""What cannot be done with stored sessions."""

import pytest

from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep
from collective.beaker.tests.helpers.stored_sessions import last


def test_an_idle_time_needs_the_time_of_use(file_sessions):
    options = {"data_dir": file_sessions.options["data_dir"]}

    with pytest.raises(CannotMaintain, match="save_accessed_time is off"):
        last(sweep(options | {"save_accessed_time": False}, idle=3600))
    with pytest.raises(CannotMaintain, match="only every 20 seconds"):
        last(sweep(options, idle=20))


def test_memcached_cannot_list_and_says_what_to_do(memcached):
    memcached.start()
    options = {"type": "ext:memcached", "url": memcached.url}

    for task in (survey, sweep, revoke_all):
        with pytest.raises(CannotMaintain, match="memcached removes by its"):
            last(task(options))


def test_sessions_in_cookies_are_in_no_store():
    options = {"type": "cookie", "validate_key": "a key for the tests"}

    with pytest.raises(CannotMaintain, match=r"Change session\.validate_key"):
        last(survey(options))


def test_a_type_that_there_is_not_is_named():
    with pytest.raises(CannotMaintain, match=r"is 'reddis': there is no such"):
        last(survey({"type": "reddis"}))
