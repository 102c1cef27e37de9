"""Blobs, whose files no pickle holds."""

import pickle
from io import BytesIO
from typing import Any

from ZODB.blob import Blob


_MODULE = Blob.__module__.encode()


def refuse_blobs(value: Any, pickled: bytes) -> None:
    """Raise PicklingError if a pickle lacks data of its value.

    A blob can be pickled, and comes back as an empty one.
    """
    if _MODULE in pickled:
        _BlobFinder(BytesIO(), pickle.HIGHEST_PROTOCOL).dump(value)


class _BlobFinder(pickle.Pickler):
    def reducer_override(self, item: Any) -> Any:
        if type(item) is Blob and _has_file(item):
            raise pickle.PicklingError("A pickle holds no file of a blob.")
        return NotImplemented


def _has_file(blob: Blob) -> bool:
    """Tell whether there is a file; one that was unpickled has none."""
    is_stored: bool = blob._p_jar is not None
    return is_stored or blob._p_blob_uncommitted is not None
