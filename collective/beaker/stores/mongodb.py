"""Sessions in MongoDB."""

import re
import time
from collections.abc import Hashable
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from bson import Binary
from pymongo import MongoClient
from pymongo.errors import DocumentTooLarge
from pymongo.errors import DuplicateKeyError
from pymongo.errors import NetworkTimeout
from pymongo.errors import PyMongoError
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from collective.beaker.interfaces import Record
from collective.beaker.interfaces import RecordTooLarge
from collective.beaker.stores.base import Store
from collective.beaker.stores.base import is_record_name
from collective.beaker.stores.container import UNREADABLE
from collective.beaker.stores.container import pack
from collective.beaker.stores.container import unpack


FAILURES = (PyMongoError,)

TIME_OUTS = (TimeoutError, NetworkTimeout, ServerSelectionTimeoutError)

_SUFFIX = ":session"

Document = dict[str, Any]


class MongoStore(Store):
    """Keeps records as Beaker's ext:mongodb does."""

    failures = FAILURES
    time_outs = TIME_OUTS

    def __init__(
        self,
        kind: str,
        url: str | MongoClient[Document],
        socket_timeout: int,
        timeout: int | None = None,
    ):
        client, address, self._servers = connect(url, socket_timeout)
        super().__init__(kind, address)
        self._timeout = timeout
        # The name of the collection is Beaker's.
        self._records = client.get_default_database().backer_cache

    def payload(self, record: Record) -> str | None:
        return unpack(record.raw)

    def _load(self, id: str) -> Record | None:
        found = self._records.find_one({"_id": id + _SUFFIX})
        return None if found is None else _record(found)

    def _swap(
        self, id: str, old: Record | None, new: str | None, seconds: int | None
    ) -> bool:
        try:
            return self._replace(id, old, new, seconds or self._timeout)
        except DuplicateKeyError:
            return False
        except DocumentTooLarge:
            raise RecordTooLarge(
                "A session is larger than the 16 MB that MongoDB allows for "
                "one document. Store less in sessions."
            ) from None

    def _replace(
        self,
        id: str,
        old: Record | None,
        new: str | None,
        timeout: int | None,
    ) -> bool:
        key = {"_id": id + _SUFFIX}
        expiration = timeout and time.time() + timeout
        value = new and {"value": Binary(pack(new)), "expiration": expiration}
        if old is None:
            if value:
                self._records.insert_one(key | value)
            return True
        same = key | {"value": Binary(old.raw)}
        if value is None:
            return self._records.delete_one(same).deleted_count == 1
        found = self._records.update_one(same, {"$set": value})
        return found.matched_count == 1

    def _delete(self, id: str) -> None:
        self._records.delete_one({"_id": id + _SUFFIX})

    @property
    def place(self) -> Hashable:
        return self._servers, self._records.full_name

    def _walk(self) -> Iterator[tuple[str, Record]]:
        pattern = {"_id": {"$regex": f"{re.escape(_SUFFIX)}$"}}
        for found in self._records.find(pattern):
            if name := _record_name(found["_id"]):
                yield name, _record(found)

    def _estimate(self) -> int:
        return self._records.estimated_document_count()


def _record(document: Document) -> Record:
    """Return the record in a document, which may be of any other kind."""
    value = document.get("value")
    return Record(bytes(value)) if isinstance(value, bytes) else UNREADABLE


def connect(
    url: str | MongoClient[Document], socket_timeout: int
) -> tuple[MongoClient[Document], str, Hashable]:
    """Return a client, its address, and what tells its servers from others.

    ``url`` may be a client that code has made.
    """
    if not isinstance(url, str):
        return url, "a client of its own", id(url)
    milliseconds = socket_timeout * 1000
    # The client watches its servers in threads of its own, and ends all
    # connections to one that does not answer them.
    client: MongoClient[Document] = MongoClient(
        url,
        # No server is needed yet, not even one that knows the others' names.
        connect=False,
        connectTimeoutMS=milliseconds,
        serverSelectionTimeoutMS=milliseconds,
        socketTimeoutMS=milliseconds,
    )
    return client, url, _servers_of(url)


def _servers_of(url: str) -> Hashable:
    parsed = urlsplit(url)
    if parsed.scheme == "mongodb+srv":
        # The library would ask a name server, which may not answer.
        return parsed.hostname
    return frozenset(parse_uri(url)["nodelist"])


def _record_name(key: str) -> str | None:
    """Return the name of the record of a key; None for a key of a cache."""
    name = key.removesuffix(_SUFFIX)
    is_ours = is_record_name(name) and key == name + _SUFFIX
    return name if is_ours else None
