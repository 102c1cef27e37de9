"""The beaker section of zope.conf, of a Zope that runs or without one."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import ZConfig
from App.config import getConfiguration
from Zope2.Startup.options import ZopeWSGIOptions


class ZopeConfError(Exception):
    """A zope.conf cannot be read.

    The message names the file, the line where that is known, and the remedy.
    It shows nothing of a value, which may be a secret.
    """


@dataclass(frozen=True)
class ZopeConf:
    """What this package needs of a zope.conf."""

    section: Mapping[str, str] | None
    """The settings of the beaker section, or None if there is no section."""

    clienthome: str
    """The folder in which Zope writes."""

    environment: Mapping[str, str]
    """The environment variables that Zope sets at start-up."""


def running_section() -> Mapping[str, str] | None:
    """Return the settings with which this Zope runs, or None if it has no
    section."""
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
        reason = f"{path}: it is no text ({type(error).__name__})."
    else:
        return ZopeConf(
            found.product_config.get("beaker"),
            found.clienthome,
            dict(found.environment),
        )
    # Not while the error is handled: it holds the line.
    raise ZopeConfError(reason)


def _place(error: ZConfig.ConfigurationError, path: str) -> str:
    if isinstance(error, ZConfig.SubstitutionSyntaxError):
        # ZConfig does not tell where that was.
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
        return f"a name that is not defined follows a dollar sign. {_DOLLAR}"
    if isinstance(error, ZConfig.SubstitutionSyntaxError):
        return f"a dollar sign is followed by no name. {_DOLLAR}"
    message = error.message
    if message.startswith(_NO_KEY):
        # The whole line follows, which may hold a secret.
        message = _NO_KEY
    return f"{message}.{_remedy(error)}"


_NO_KEY = "value did not match regular expression"
_DOLLAR = "Write $$ for a dollar sign, or define the name by %define."


def _remedy(error: ZConfig.ConfigurationError) -> str:
    message = error.message
    if message.startswith("too many values for"):
        return " The setting stands there twice: remove one of the lines."
    if message.startswith(_NO_KEY):
        return (
            " A setting's name has letters, digits, dots, - and _ only, and "
            "a blank behind it."
        )
    if isinstance(error, ZConfig.SchemaResourceError):
        return (
            " Run this with the Python of Zope, where the package is "
            "installed, or install it."
        )
    if message.startswith("error opening file"):
        return " Name the zope.conf of your Zope."
    return ""
