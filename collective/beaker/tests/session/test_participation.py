"""The session as a part of a transaction."""

import pytest
import transaction
from transaction.interfaces import IDataManagerSavepoint
from transaction.interfaces import ISavepointDataManager
from zope.interface.verify import verifyClass

from collective.beaker.session.participation import SessionDataManager
from collective.beaker.session.participation import SessionSavepoint
from collective.beaker.session.participation import join


def test_the_data_manager_keeps_its_contract():
    assert verifyClass(ISavepointDataManager, SessionDataManager)


def test_the_savepoint_keeps_its_contract():
    assert verifyClass(IDataManagerSavepoint, SessionSavepoint)


class Counter:
    """A number that takes part in transactions."""

    def __init__(self):
        self.number = self.stored = 0
        self.is_prepared = False
        self.fails = False

    def prepare(self):
        if self.fails:
            raise ValueError("It cannot be stored.")
        self.is_prepared = True

    def finish(self):
        assert self.is_prepared
        self.is_prepared = False
        self.stored = self.number

    def roll_back(self):
        self.is_prepared = False
        self.number = self.stored

    def snapshot(self):
        return self.number

    def restore(self, snapshot):
        self.number = snapshot


class Observer:
    """A data manager that looks at something in each phase."""

    transaction_manager = transaction.manager

    def __init__(self, look, key):
        self.look = look
        self.key = key
        self.seen = {}

    def sortKey(self):
        return self.key

    def tpc_begin(self, transaction):
        self.seen["begin"] = self.look()

    def commit(self, transaction):
        self.seen["commit"] = self.look()

    def tpc_vote(self, transaction):
        self.seen["vote"] = self.look()

    def tpc_finish(self, transaction):
        self.seen["finish"] = self.look()

    def tpc_abort(self, transaction):
        self.seen["abort"] = self.look()

    abort = tpc_abort


@pytest.fixture(autouse=True)
def no_transaction():
    transaction.abort()
    yield
    transaction.abort()


@pytest.fixture
def counter():
    """A counter that takes part in the current transaction."""
    counter = Counter()
    assert join(counter)
    counter.number = 1
    return counter


def test_a_commit_stores(counter):
    transaction.commit()

    assert counter.stored == 1
    assert not counter.is_prepared


def test_an_abort_rolls_back(counter):
    transaction.abort()

    assert counter.number == counter.stored == 0


def test_what_cannot_be_prepared_fails_the_commit_and_rolls_back(counter):
    counter.fails = True

    with pytest.raises(ValueError, match="It cannot be stored"):
        transaction.commit()
    assert counter.number == counter.stored == 0


def test_nothing_is_prepared_before_all_others_have_voted(counter):
    others = [
        Observer(lambda: counter.is_prepared, key) for key in ("", "zz", "~")
    ]
    for other in others:
        transaction.get().join(other)
    transaction.commit()

    for other in others:
        assert not any(other.seen[name] for name in ("begin", "commit"))
        assert other.seen["vote"] is False
        assert other.seen["finish"] is True


@pytest.mark.parametrize("key", ["zz", "~~~"], ids=["before", "after"])
def test_a_session_whose_commit_others_let_fail_rolls_back(counter, key):
    def fail():
        raise ValueError("It fails.")

    other = Observer(fail, key)
    for phase in ("tpc_begin", "commit", "tpc_abort", "abort"):
        setattr(other, phase, lambda transaction: None)
    transaction.get().join(other)

    with pytest.raises(ValueError, match="It fails"):
        transaction.commit()
    assert counter.number == counter.stored == 0


def test_a_savepoint_brings_its_state_back_again_and_again(counter):
    savepoint = transaction.savepoint()
    for _ in range(2):
        counter.number = 2
        savepoint.rollback()
        assert counter.number == 1


def test_a_transaction_that_has_failed_rolls_back_who_comes_late(counter):
    counter.fails = True
    with pytest.raises(ValueError):
        transaction.commit()

    late = Counter()
    assert join(late) is True
    late.number = 1
    transaction.abort()
    assert late.number == 0


def test_a_session_cannot_join_while_a_transaction_is_committed():
    other = Observer(lambda: join(Counter()), "")
    transaction.get().join(other)
    transaction.commit()

    assert other.seen["vote"] is False
