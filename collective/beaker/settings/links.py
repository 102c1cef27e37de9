"""The permanent links of settings, which messages name."""

import re

from collective.beaker.documentation import page_url
from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.options import CACHE_OPTIONS
from collective.beaker.settings.options import METRICS_OPTIONS
from collective.beaker.settings.options import SESSION_OPTIONS


_EXPLAINED = {
    *(f"session.{option}" for option in SESSION_OPTIONS),
    *(f"cache.{option}" for option in (*CACHE_OPTIONS, "regions")),
    *(f"metrics.{option}" for option in METRICS_OPTIONS),
}
"""The settings that have an entry of their own in the documentation."""

_OF_STORES = {
    option for backend in BACKENDS.values() for option in backend.options
}
"""The options that belong to stores, which have a section together."""

_SETTING = re.compile(r"(?:session|cache|metrics)\.[\w.-]*\w")


def setting_url(setting: str) -> str:
    """Return the permanent link of a setting, also of one of a region.

    One that nobody knows has the link of the page.
    """
    prefix, _, rest = setting.partition(".")
    option = rest.rpartition(".")[2]
    page = page_url("options")
    if f"{prefix}.{option}" in _EXPLAINED:
        return f"{page}#confval-{prefix}.{option}"
    return f"{page}#backend-options" if option in _OF_STORES else page


def link_of(message: str) -> str | None:
    """Return the link of the setting that a message begins with, if any."""
    found = _SETTING.match(message)
    return setting_url(found[0]) if found else None


def with_link(message: str) -> str:
    """Return a message, followed by the link of its setting."""
    link = link_of(message)
    return f"{message} See {link}" if link else message
