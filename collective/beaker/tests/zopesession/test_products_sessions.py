"""The tests of Products.Sessions, run on our session data manager."""

import pytest
import transaction
from OFS.Application import Application
from Testing.makerequest import makerequest
from zope.globalrequest import clearRequest
from zope.globalrequest import setRequest
from ZPublisher.pubevents import PubStart

from collective.beaker.session import initializeSession
from collective.beaker.zopesession.manager import StoredSessionDataManager
from collective.beaker.zopesession.offering import offerSessionDataOnStart


theirs = pytest.importorskip("Products.Sessions.tests.testSessionDataManager")

NOT_OURS = {
    "test_initialization": "it makes their manager, with a path of its own",
    "test_manage_changeSDM": "there is no container that could be chosen",
    "test_setContainerPath": "there is no container",
    "testBadExternalSDCPath": "there is no container",
    "testUsesDefaultSessionDataContainer": "there is no container",
    "testDefaultSessionDataContainerCreation": "there is no container",
    "testDefaultSessionDataContainerSettings": "there is no container",
    "test_setTitle": "the title is fixed",
    "testGetSessionDataCreate": "it asks for the class TransientObject",
    "testNewSessionDataObjectIsValid": "it asks for that class",
    "testUnlazifyAutoPopulated": "it asks for that class",
    "testSessionDataWrappedInSDMandTOC": "the data are not in the ZODB",
    "testSubcommitAssignsPJar": "the data are not in the ZODB",
    "testAutoReqPopulate": "the name in the request is always SESSION",
}
"""Their tests that do not apply, and why."""


class TestSessionManager(theirs.TestSessionManager):
    """Their tests, with a manager of ours in the place of theirs."""

    @pytest.fixture(autouse=True)
    def _session(self, request, config):
        reason = NOT_OURS.get(request.node.name)
        if reason is not None:
            pytest.skip(reason)
        config["transactional"] = True  # as theirs are

    def setUp(self):
        self.app = makerequest(Application())
        request = self.app.REQUEST
        initializeSession(request)
        offerSessionDataOnStart(PubStart(request))
        setRequest(request)
        manager = StoredSessionDataManager()
        self.app._setObject("session_data_manager", manager)
        self.app.browser_id_manager = manager.getBrowserIdManager()

    def tearDown(self):
        transaction.abort()
        clearRequest()


del theirs
