"""Whose a session is, and what a user may do with it."""

import pytest

from collective.beaker.session.owners import Owners
from collective.beaker.session.owners import Right


ANNA, BERT = "/acl_users\0anna", "/acl_users\0bert"


def owners(login_policy="bind", secrets=("a secret",)):
    return Owners(login_policy, secrets)


def right(owners_mark, user, login_policy="bind"):
    known = owners(login_policy)
    return known.right_to(owners_mark and known.mark(owners_mark), user)


@pytest.mark.parametrize("user", [None, ANNA])
@pytest.mark.parametrize("login_policy", ["bind", "rotate", "off"])
def test_what_is_nobodys_may_be_used_by_all(login_policy, user):
    assert right(None, user, login_policy) is Right.USE


@pytest.mark.parametrize(
    ("login_policy", "user", "expected"),
    [
        ("bind", ANNA, Right.USE),
        ("bind", BERT, Right.REPLACE),
        ("bind", None, Right.IGNORE),
        ("rotate", ANNA, Right.USE),
        ("rotate", BERT, Right.REPLACE),
        ("rotate", None, Right.USE),
        ("off", ANNA, Right.USE),
        ("off", BERT, Right.USE),
        ("off", None, Right.USE),
    ],
)
def test_what_is_annas(login_policy, user, expected):
    assert right(ANNA, user, login_policy) is expected


def test_a_user_of_the_same_id_in_another_folder_is_another():
    assert right(ANNA, "/site/acl_users\0anna") is Right.REPLACE


def test_a_mark_is_recognised_after_the_secret_was_changed():
    before = owners(secrets=("former",)).mark(ANNA)
    now = owners(secrets=("current", "former"))

    assert now.right_to(before, ANNA) is Right.USE
    assert now.mark(ANNA) != before


def test_a_mark_does_not_tell_who_it_is():
    assert "anna" not in owners().mark(ANNA)
    assert owners().mark(ANNA) != owners(secrets=("another",)).mark(ANNA)


@pytest.mark.parametrize("planted", ["", 7, ["a"], ANNA])
def test_a_mark_that_is_none_is_nobodys_own(planted):
    assert owners().right_to(planted, ANNA) is Right.REPLACE


def test_any_user_id_can_be_marked():
    assert owners().mark("/acl_users\0\udcff")
