"""The beaker section of zope.conf, from a running Zope or from the file."""

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ZConfig
from App.config import getConfiguration
from Zope2.Startup.options import ZopeWSGIOptions


_NO_KEY = "value did not match regular expression"
"""How ZConfig's message about the name of a setting begins."""

_DOLLAR = "Write $$ for a dollar sign, or define the name with %define."
"""The remedy for a dollar sign."""

_OTHER_FILE = "Name the zope.conf of your Zope with --config."
"""The remedy for a file that is none."""


class ZopeConfError(Exception):
    """A zope.conf cannot be read.

    The message names the file, the line if it is known, and the remedy.  It
    shows no part of a value, which may be a secret.
    """


@dataclass(frozen=True, repr=False)
class ZopeConf:
    """What this package needs of a zope.conf."""

    section: Mapping[str, str] | None
    """The settings of the beaker section, or None if there is no section."""

    clienthome: str
    """The folder in which Zope writes."""

    environment: Mapping[str, str]
    """The environment variables that Zope sets at start-up."""

    whole: Any
    """All that the file configures, as Zope keeps it."""


def running_section() -> Mapping[str, str] | None:
    """Return the beaker section of this Zope, or None if there is none."""
    sections = getattr(getConfiguration(), "product_config", None) or {}
    return sections.get("beaker")


def read_zope_conf(path: str) -> ZopeConf:
    """Read a zope.conf with Zope's own schema, without starting Zope.

    Raises ZopeConfError.
    """
    try:
        found = ZopeWSGIOptions(configfile=os.path.abspath(path))().configroot
    except ZConfig.ConfigurationError as error:
        reason = f"{_place(error, path)}: {_reason(error)}"
    except ValueError as error:
        kind = type(error).__name__
        reason = f"{path}: it is not a text file ({kind}). {_OTHER_FILE}"
    else:
        return ZopeConf(
            found.product_config.get("beaker"),
            found.clienthome,
            dict(found.environment),
            found,
        )
    # This is raised outside of the except clauses, because the error holds
    # the line and would be attached.
    raise ZopeConfError(reason)


def _place(error: ZConfig.ConfigurationError, path: str) -> str:
    if isinstance(error, ZConfig.SubstitutionSyntaxError):
        # ZConfig does not say where.
        return f"{path}, or a file that it includes"
    file = (error.url or path).removeprefix("file://")
    line = getattr(error, "lineno", None)
    return f"{file}, line {line}" if line else file


def _reason(error: ZConfig.ConfigurationError) -> str:
    if isinstance(error, ZConfig.SubstitutionReplacementError):
        if f"$({error.name}" in error.source:
            return (
                f"the environment variable {error.name} is not set. "
                "Set it as it is set for Zope."
            )
        return f"a dollar sign precedes a name that is not defined. {_DOLLAR}"
    if isinstance(error, ZConfig.SubstitutionSyntaxError):
        return f"a dollar sign is not followed by a name. {_DOLLAR}"
    message = error.message
    if message.startswith(_NO_KEY):
        # The whole line follows, which may hold a secret.
        message = _NO_KEY
    return f"{message}.{_remedy(error)}"


def _remedy(error: ZConfig.ConfigurationError) -> str:
    message = error.message
    if message.startswith("too many values for"):
        return " The setting is there twice: remove one of the lines."
    if message.startswith(_NO_KEY):
        return (
            " The name of a setting has only letters, digits, dots, - and _, "
            "and is followed by a blank."
        )
    if isinstance(error, ZConfig.SchemaResourceError):
        return (
            " Run this with the Python of Zope, where the package is "
            "installed, or install it."
        )
    if os.strerror(errno.EACCES) in message:
        return " Run this as the user that Zope runs as."
    if message.startswith("error opening file"):
        return f" {_OTHER_FILE}"
    return ""
