"""The session as a part of a transaction."""

from transaction.interfaces import ISavepointDataManager
from zope.interface.verify import verifyClass

from collective.beaker.session.participation import SessionDataManager


def test_the_data_manager_keeps_its_contract():
    assert verifyClass(ISavepointDataManager, SessionDataManager)
