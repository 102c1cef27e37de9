"""Values of caches in MongoDB."""

import mongomock

from collective.beaker.stores.values import find_value_store
from collective.beaker.stores.values import mongodb


def test_no_command_removes_all_documents_of_a_large_collection(
    region, monkeypatch, clock
):
    """It would take longer than anyone waits for a server."""
    monkeypatch.setattr(mongodb, "_BATCH", 2)
    removed = []
    delete_many = mongomock.Collection.delete_many

    def delete(*arguments):
        result = delete_many(*arguments)
        removed.append(result.deleted_count)
        return result

    monkeypatch.setattr(mongomock.Collection, "delete_many", delete)
    client = mongomock.MongoClient("mongodb://localhost/caches")
    values = find_value_store({"type": "ext:mongodb", "url": client}, region)
    for name in ("v:1", "v:2", "v:3", "w:1", "w:2", "w:3"):
        values.put(name, b"record", 60)

    assert values.clear("v:") == 3
    assert len(list(values.walk())) == 3
    clock(61)
    assert sum(values.sweep(dry_run=True)) == 3
    assert sum(values.sweep()) == 3
    assert sum(removed) == 6
    assert max(removed) == 2
