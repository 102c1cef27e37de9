"""The folders that are configured."""

import os
import tempfile

from collective.beaker.settings.backends import folder_options
from collective.beaker.settings.section import Configuration


def make_folders(configuration: Configuration) -> list[str]:
    """Create the folders that are configured, and try to write to them.

    Returns the errors, one for each folder that cannot be used.
    """
    return [
        f"{key} is {folder!r}, which cannot be used: {reason}. "
        "Name a folder that Zope can create and write to."
        for folder, key in _folders(configuration).items()
        if (reason := _create(folder))
    ]


def used_folders(configuration: Configuration) -> list[str]:
    """Return the folders that are configured, whether they exist or not."""
    return list(_folders(configuration))


def _folders(configuration: Configuration) -> dict[str, str]:
    """Return each configured folder with the first setting that names it."""
    groups = {
        "session": configuration.session or {},
        **configuration.caches,
    }
    folders: dict[str, str] = {}
    for prefix, options in groups.items():
        for option in folder_options():
            if folder := options.get(option):
                folders.setdefault(folder, f"{prefix}.{option}")
    return folders


def _create(folder: str) -> str | None:
    """Create a folder, if missing, and write to it.

    Returns what went wrong, or None.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror
