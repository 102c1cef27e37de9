"""How sessions are opened."""

from collective.beaker.ids import new_id
from collective.beaker.session.opening import open_session
from collective.beaker.session.policy import policy_for


OPTIONS = {"key": "opening", "secret": "a secret of the tests"}


def test_sessions_of_one_policy_share_nothing_that_changes(application):
    policy = policy_for(OPTIONS | {"type": "memory"})
    first, second = open_session(policy, ""), open_session(policy, "")
    first.data["a"] = 1

    assert first.id != second.id
    assert "a" not in second.data


def test_an_id_that_code_gives_is_that_of_all_sessions(application):
    id = new_id()
    policy = policy_for(OPTIONS | {"type": "memory", "id": id})

    assert {open_session(policy, "").id, open_session(policy, "").id} == {id}
