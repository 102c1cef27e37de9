"""Values in MongoDB.

There is one document for each name: the record, and the claim on it.  A
document may have a claim and no record yet.
"""

import time
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from math import inf
from typing import Any

from bson import Binary
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from collective.beaker.interfaces import Claim
from collective.beaker.interfaces import Size
from collective.beaker.stores.mongodb import FAILURES
from collective.beaker.stores.mongodb import TIME_OUTS
from collective.beaker.stores.mongodb import Document
from collective.beaker.stores.mongodb import connect
from collective.beaker.stores.values.base import ValueStore
from collective.beaker.stores.values.base import end_of
from collective.beaker.stores.values.base import latest_end_of_claim
from collective.beaker.stores.values.base import new_token


_NOT_STORED = 0
"""The time at which a record that is not stored yet ended."""

_BATCH = 1000
"""How many documents are read or removed at once."""

_ENDS = ("ends", "claim_ends")
"""Where a document says when its record ends, and when its claim does."""

_UNCLAIMED = {"claimant": "", "claim_ends": 0}


class MongoValues(ValueStore):
    """Keeps records as documents of a collection ``beaker_values``."""

    failures = FAILURES
    time_outs = TIME_OUTS

    def __init__(
        self,
        kind: str,
        url: str | MongoClient[Document],
        socket_timeout: int,
    ):
        client, address, self._servers = connect(url, socket_timeout)
        super().__init__(kind, address)
        self._records = client.get_default_database().beaker_values

    @property
    def place(self) -> Hashable:
        return self._servers, self._records.full_name

    def _get(self, names: Sequence[str]) -> dict[str, Any]:
        return _stored(self._records.find({"_id": {"$in": list(names)}}))

    def _claim(
        self, name: str, names: Sequence[str], seconds: float
    ) -> tuple[Claim | None, dict[str, Any]]:
        claim, now = Claim(name, new_token()), time.time()
        latest = latest_end_of_claim(seconds)
        ended = ({"$lte": now}, {"$gt": latest})
        self._upsert(
            {"_id": name, "$or": [{"claim_ends": end} for end in ended]},
            {
                "$set": {"claimant": claim.token, "claim_ends": now + seconds},
                "$setOnInsert": {"ends": _NOT_STORED},
            },
        )
        wanted = {"_id": {"$in": list(names)}}
        documents = list(self._records.find(wanted))
        is_ours = any(
            document["claimant"] == claim.token for document in documents
        )
        return claim if is_ours else None, _stored(documents)

    def _renew(self, claim: Claim, seconds: float) -> bool:
        return self._change(claim, {"claim_ends": time.time() + seconds})

    def _settle(
        self,
        claim: Claim,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> bool:
        self._keep(keep, seconds)
        return self._change(claim, _settled(record, end_of(seconds)))

    def _give_up(self, claim: Claim) -> None:
        self._change(claim, _UNCLAIMED)

    def _put(
        self,
        name: str,
        record: Any,
        seconds: float | None,
        keep: Mapping[str, Any],
    ) -> None:
        self._keep(keep, seconds)
        update = {"$set": _settled(record, end_of(seconds))}
        if not self._upsert({"_id": name}, update):
            # Somebody else has inserted it at this moment.
            self._records.update_one({"_id": name}, update)

    def _keep(self, keep: Mapping[str, Any], seconds: float | None) -> None:
        end = end_of(seconds)
        for name, record in keep.items():
            ended = {"_id": name, "ends": {"$lte": time.time()}}
            if not self._upsert(ended, _stored_until(record, end)):
                self._records.update_one({"_id": name}, _later(end))

    def _delete(self, names: Sequence[str]) -> None:
        self._records.delete_many({"_id": {"$in": list(names)}})

    def _raise_numbers(
        self, names: Sequence[str], number: bytes, seconds: float | None
    ) -> None:
        end = end_of(seconds)
        for name in names:
            self._raise_number(name, number, end)

    def _raise_number(self, name: str, number: bytes, end: float) -> None:
        while True:
            present = self._get([name]).get(name, b"")
            if len(present) == len(number):
                number = max(present, number)
            if present:
                unchanged = {"_id": name, "value": Binary(present)}
            else:
                unchanged = {"_id": name, "ends": {"$lte": time.time()}}
            raised = {"value": Binary(number), **_UNCLAIMED}
            if self._upsert(unchanged, {"$set": raised, **_later(end)}):
                return

    def _walk(self, prefix: str) -> Iterator[str]:
        stored = _beginning_with(prefix) | {"ends": {"$gt": time.time()}}
        for document in self._records.find(stored, {"_id": 1}):
            yield document["_id"]

    def _clear(self, prefix: str) -> int:
        number = 0
        for page in self._pages(prefix):
            self._records.delete_many(_named(page))
            number += sum(map(_was_stored, page))
        return number

    def _sweep(self, dry_run: bool) -> Iterator[int]:
        for page in self._pages(""):
            now = time.time()
            ended = [document for document in page if _end(document) <= now]
            if ended and not dry_run:
                still = {name: {"$lte": now} for name in _ENDS}
                self._records.delete_many(_named(ended) | still)
            yield sum(map(_was_stored, ended))

    def _pages(self, prefix: str) -> Iterator[list[Document]]:
        """Yield documents in batches: names, and when records and claims end.

        One command for all documents of a large collection may take longer
        than anyone waits for a server.
        """
        names, after = _beginning_with(prefix), ""
        while page := list(
            self._records.find(
                {"$and": [names, {"_id": {"$gt": after}}]}, _ENDS
            )
            .sort("_id")
            .limit(_BATCH)
        ):
            yield page
            after = page[-1]["_id"]

    def _sizes(self, prefix: str) -> Iterator[Size]:
        stored = _beginning_with(prefix) | {"ends": {"$gt": time.time()}}
        yield Size(self._records.count_documents(stored), None)

    def _change(self, claim: Claim, values: Document) -> bool:
        """Change a document if its claim is good; tell whether it was."""
        mine = {"_id": claim.name, "claimant": claim.token}
        found = self._records.update_one(mine, {"$set": values})
        return found.matched_count == 1

    def _upsert(self, condition: Document, update: Document) -> bool:
        """Update a document, or insert it if there is none.

        Returns False if there is one that does not meet the condition.
        """
        try:
            self._records.update_one(condition, update, upsert=True)
        except DuplicateKeyError:
            return False
        return True


def _stored(documents: Any) -> dict[str, Any]:
    now = time.time()
    return {
        document["_id"]: bytes(document["value"])
        for document in documents
        if document["ends"] > now
    }


def _settled(record: Any, end: float) -> Document:
    return {"value": Binary(record), "ends": end, **_UNCLAIMED}


def _stored_until(record: Any, end: float) -> Document:
    """Return an update that stores a record, and leaves a claim alone."""
    return {
        "$set": {"value": Binary(record)},
        "$setOnInsert": _UNCLAIMED,
        **_later(end),
    }


def _later(end: float) -> Document:
    """Return an update that has a record end no sooner than then."""
    return {"$max": {"ends": end}}


def _beginning_with(prefix: str) -> Document:
    """Return the condition that a name begins with a prefix."""
    # This character comes after all characters of names.
    return {"_id": {"$gte": prefix, "$lt": f"{prefix}~"}}


def _named(documents: Sequence[Document]) -> Document:
    """Return the condition that a document is one of these."""
    return {"_id": {"$in": [document["_id"] for document in documents]}}


def _was_stored(document: Document) -> bool:
    """Tell whether a document has a record, and not only a claim."""
    ends: float = document.get("ends", _NOT_STORED)
    return ends > _NOT_STORED


def _end(document: Document) -> float:
    """Return when record and claim have both ended; never if unknown."""
    end: float = max(document.get(name, inf) for name in _ENDS)
    return end
