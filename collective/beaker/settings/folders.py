"""The folders that are configured."""

import os
import tempfile
from pathlib import Path
from stat import S_IWOTH
from typing import Any

from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.backends import folder_options
from collective.beaker.settings.section import Configuration


def make_folders(configuration: Configuration) -> list[str]:
    """Create the folders that are configured, and try to write to them.

    Returns the errors, one for each folder that cannot be used.
    """
    return [
        f"{name}, which cannot be used: {reason}. "
        "Name a folder that Zope can create and write to."
        for folder, name in _named_folders(configuration).items()
        if (reason := _create(folder))
    ]


def folder_warnings(configuration: Configuration) -> list[str]:
    """Return warnings of folders that are relative, or in others' hands."""
    if configuration.errors:
        return []
    named = _named_folders(configuration)
    relative = [
        f"{name}, which is relative: it starts from the folder in which a "
        "process was started, so that the command may look elsewhere than "
        "Zope does. Write an absolute path."
        for folder, name in named.items()
        if not os.path.isabs(folder)
    ]
    return relative + [
        f"{name}, which {reason}. Others could change what Zope reads there. "
        "Give it to Zope's user, with the mode 700."
        for folder, name in named.items()
        if (reason := _hands(folder))
    ]


def _named_folders(configuration: Configuration) -> dict[str, str]:
    """Return each folder with what a message says of the setting."""
    named = {
        folder: f"{key} is {folder!r}"
        for folder, key in _folders(configuration).items()
    }
    if not configuration.errors:
        for folder, key in _file_folders(configuration).items():
            named.setdefault(folder, f"{key} names a file in {folder!r}")
    return named


def _hands(folder: str) -> str | None:
    if owner := other_owner(folder):
        return f"belongs to another user, {owner}"
    if is_open_to_all(folder):
        return "any local user can write to"
    return None


def other_owner(folder: str) -> str | None:
    """Return the user to whom a folder belongs, if that is another one."""
    found = _stat(folder)
    if found is None or found.st_uid == os.geteuid():
        return None
    try:
        return Path(folder).owner()
    except KeyError:
        return f"#{found.st_uid}"


def is_open_to_all(folder: str) -> bool:
    """Tell whether any local user can write to a folder."""
    found = _stat(folder)
    return found is not None and bool(found.st_mode & S_IWOTH)


def _stat(folder: str) -> os.stat_result | None:
    """Return whose a folder is, where that can be told.

    What cannot be reached is an error when it is used.
    """
    if not hasattr(os, "geteuid"):
        return None
    try:
        return os.stat(folder)
    except (OSError, ValueError):
        return None


def used_folders(configuration: Configuration) -> list[str]:
    """Return the folders of what is configured, if they exist or not."""
    if configuration.errors:
        return list(_folders(configuration))
    return list(_folders(configuration) | _file_folders(configuration))


def _folders(configuration: Configuration) -> dict[str, str]:
    """Return each configured folder with the first setting that names it."""
    folders: dict[str, str] = {}
    for prefix, options in _groups(configuration).items():
        for option in folder_options():
            if folder := options.get(option):
                folders.setdefault(folder, f"{prefix}.{option}")
    return folders


def _file_folders(configuration: Configuration) -> dict[str, str]:
    """Return the folders of files that addresses name, with the settings.

    The addresses must be right.
    """
    folders: dict[str, str] = {}
    for prefix, options in _groups(configuration).items():
        backend = backend_of(options)
        if file := backend.file(options.get(backend.address)):
            folder = os.path.dirname(file) or os.curdir
            folders.setdefault(folder, f"{prefix}.{backend.address}")
    return folders


def _groups(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """Return the options of sessions and of all caches, by their prefixes."""
    sessions = {"session": configuration.session}
    return {
        prefix: options
        for prefix, options in (sessions | configuration.caches).items()
        if options is not None
    }


def _create(folder: str) -> str | None:
    """Create a folder and those above it, if missing, and write to it.

    Returns what went wrong, or None.
    """
    path = Path(os.path.abspath(folder))
    try:
        for each in reversed([path, *path.parents]):
            each.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error.strerror
    except ValueError:
        return "no folder on this machine can have this name"
