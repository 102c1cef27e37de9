"""The stored records of sessions, as they are in each kind of store.

Tests look at them, replace them and remove them without the code under test.
"""

import dbm
import pickle
import socket
from base64 import b64encode
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from typing import Protocol

import sqlalchemy
from beaker.container import MemoryNamespaceManager
from pymemcache import Client
from redis import Redis


KEY = "session"
"""The key under which Beaker stores a session in its namespace."""


@cache
def engine_of(url: str) -> sqlalchemy.Engine:
    """Return the tests' own way to a database, which may be restarted."""
    # To connect takes longer than most of what tests do then.
    pool = {"pool_pre_ping": True}
    if url.startswith("sqlite:"):
        pool = {"poolclass": sqlalchemy.NullPool}
    # What the tests themselves do must not be found in the log.
    return sqlalchemy.create_engine(url, hide_parameters=True, **pool)


class Records(Protocol):
    """The records of one store; all of them are named by session ids."""

    def read(self, id: str) -> Any:
        """Return what is stored for a session, or None."""

    def write(self, id: str, raw: bytes) -> None:
        """Replace what is stored for a session."""

    def remove(self, id: str) -> None:
        """Take a session away."""

    def ids(self) -> set[str]:
        """Return the ids of all stored sessions."""


def records_of(store: SimpleNamespace) -> Records:
    """Return the records of a store, which is described by its options."""
    return KINDS[store.type](store)


class MemoryRecords:
    """Beaker keeps a dictionary for each session."""

    def __init__(self, store: SimpleNamespace):
        self.namespaces = MemoryNamespaceManager.namespaces.dict

    def read(self, id: str) -> Any:
        return self.namespaces.get(id, {}).get(KEY)

    def write(self, id: str, raw: bytes) -> None:
        self.namespaces[id][KEY] = raw

    def remove(self, id: str) -> None:
        del self.namespaces[id]

    def ids(self) -> set[str]:
        return set(self.namespaces)


class FileRecords:
    """A file for each session, in folders named by the id's first digits."""

    def __init__(self, store: SimpleNamespace):
        self.folder = Path(store.data_dir) / "container_file"

    def path(self, id: str) -> Path:
        return self.folder / id[:1] / id[:2] / f"{id}.cache"

    def read(self, id: str) -> bytes | None:
        path = self.path(id)
        return path.read_bytes() if path.exists() else None

    def write(self, id: str, raw: bytes) -> None:
        self.path(id).write_bytes(raw)

    def remove(self, id: str) -> None:
        self.path(id).unlink()

    def ids(self) -> set[str]:
        return {path.stem for path in self.folder.rglob("*.cache")}


class DbmRecords:
    """The same, but a small database for each session.

    Some kinds of dbm make one file of it, some make several.
    """

    def __init__(self, store: SimpleNamespace):
        self.folder = Path(store.data_dir) / "container_dbm"

    def path(self, id: str) -> Path:
        return self.folder / id[:1] / id[:2] / f"{id}.dbm"

    def files(self, id: str = "*") -> list[Path]:
        return list(self.folder.rglob(f"{id}.dbm*"))

    def read(self, id: str) -> bytes | None:
        if not self.files(id):
            return None
        with dbm.open(str(self.path(id)), "r") as database:
            return database.get(KEY)

    def write(self, id: str, raw: bytes) -> None:
        with dbm.open(str(self.path(id)), "w") as database:
            database[KEY] = raw

    def remove(self, id: str) -> None:
        for path in self.files(id):
            path.unlink()

    def ids(self) -> set[str]:
        return {path.name.partition(".")[0] for path in self.files()}


class SqlRecords:
    """A row for each session."""

    def __init__(self, store: SimpleNamespace):
        self.engine = engine_of(store.url)
        self.table = sqlalchemy.table(
            getattr(store, "table_name", "beaker_cache"),
            sqlalchemy.column("namespace"),
            sqlalchemy.column("data", sqlalchemy.LargeBinary),
        )

    def read(self, id: str) -> bytes | None:
        query = sqlalchemy.select(self.table.c.data)
        with self.engine.connect() as connection:
            return connection.scalar(query.where(self.table.c.namespace == id))

    def write(self, id: str, raw: bytes) -> None:
        query = sqlalchemy.update(self.table).values(data=raw)
        with self.engine.begin() as connection:
            connection.execute(query.where(self.table.c.namespace == id))

    def remove(self, id: str) -> None:
        query = sqlalchemy.delete(self.table)
        with self.engine.begin() as connection:
            connection.execute(query.where(self.table.c.namespace == id))

    def ids(self) -> set[str]:
        if not sqlalchemy.inspect(self.engine).has_table(self.table.name):
            return set()
        query = sqlalchemy.select(self.table.c.namespace)
        with self.engine.connect() as connection:
            return set(connection.scalars(query))


class RedisRecords:
    """A key for each session."""

    def __init__(self, store: SimpleNamespace):
        self.client = Redis.from_url(store.url)

    def read(self, id: str) -> bytes | None:
        return self.client.get(f"beaker_cache:{id}:{KEY}")

    def write(self, id: str, raw: bytes) -> None:
        self.client.set(f"beaker_cache:{id}:{KEY}", raw)

    def remove(self, id: str) -> None:
        self.client.delete(f"beaker_cache:{id}:{KEY}")

    def ids(self) -> set[str]:
        keys = self.client.keys(f"beaker_cache:*:{KEY}")
        return {key.decode().split(":")[1] for key in keys}


class MemcachedRecords:
    """A key for each session."""

    def __init__(self, store: SimpleNamespace):
        self.client = Client(store.url, default_noreply=False)

    def read(self, id: str) -> bytes | None:
        return self.client.get(f"{id}_{KEY}")

    def write(self, id: str, raw: bytes) -> None:
        # The flag by which Beaker's client libraries know a pickle.
        self.client.set(f"{id}_{KEY}", raw, flags=1)

    def remove(self, id: str) -> None:
        self.client.delete(f"{id}_{KEY}")

    def ids(self) -> set[str]:
        keys = self._keys()
        while keys == ["BUSY"]:
            # Its housekeeping looks through the keys at this moment.
            keys = self._keys()
        return {
            key.removeprefix("key=").removesuffix(f"_{KEY}")
            for key in keys
            if key.endswith(f"_{KEY}")
        }

    def _keys(self) -> list[str]:
        with (
            socket.create_connection(self.client.server, 30) as connection,
            connection.makefile("rwb") as lines,
        ):
            lines.write(b"lru_crawler metadump all\r\n")
            lines.flush()
            words: list[str] = []
            for line in lines:
                words.append(line.split()[0].decode())
                if words[-1] in ("END", "BUSY"):
                    break
            return words


KINDS = {
    "memory": MemoryRecords,
    "file": FileRecords,
    "dbm": DbmRecords,
    "ext:database": SqlRecords,
    "ext:redis": RedisRecords,
    "ext:memcached": MemcachedRecords,
}


def text_of(value: Any) -> str:
    """Return a value as Beaker keeps it in the container."""
    return b64encode(pickle.dumps(value)).decode()
