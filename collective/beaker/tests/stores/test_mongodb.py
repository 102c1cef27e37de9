"""Sessions in MongoDB."""

import time

import mongomock
import pytest
from pymongo.errors import DocumentTooLarge

from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.survey import survey
from collective.beaker.tests.helpers.stored_sessions import last
from collective.beaker.tests.helpers.stores import make_store


def test_what_is_larger_than_a_document_of_mongodb_is_refused(id, monkeypatch):
    client = mongomock.MongoClient("mongodb://localhost/sessions")
    store = make_store("ext:mongodb", url=client)

    def refuse(*args):
        raise DocumentTooLarge("large")

    monkeypatch.setattr(mongomock.Collection, "insert_one", refuse)
    with pytest.raises(RecordTooLarge, match="16 MB"):
        store.swap(id, None, "large")


def test_mongodb_is_told_when_a_session_expires(id):
    client = mongomock.MongoClient("mongodb://localhost/sessions")
    store = make_store("ext:mongodb", url=client, timeout=100)
    store.swap(id, None, "first")

    [stored] = client.get_default_database().backer_cache.find()
    assert stored["expiration"] > time.time()


@pytest.mark.parametrize("document", [{}, {"value": "text"}, {"value": 7}])
def test_a_document_of_another_kind_is_an_unreadable_session(id, document):
    # Clients of one address are equal, whatever they hold.
    client = mongomock.MongoClient(f"mongodb://{id}/sessions")
    store = make_store("ext:mongodb", url=client)
    records = client.get_default_database().backer_cache
    records.insert_one({"_id": f"{id}:session", **document})
    options = {"type": "ext:mongodb", "url": client}

    assert last(survey(options)).unreadable == 1
    assert last(revoke_all(options)) == 1
    assert store.load(id) is None
