"""The settings that are in force, and where each comes from."""

from collections.abc import Iterator
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from typing import Any

from collective.beaker.maintenance.stored import Options
from collective.beaker.report.parts import DEFAULT
from collective.beaker.report.parts import INHERITED
from collective.beaker.report.parts import LOCAL
from collective.beaker.report.parts import RUN_TIME
from collective.beaker.report.parts import ZOPE_CONF
from collective.beaker.report.parts import Setting
from collective.beaker.report.parts import SettingValue
from collective.beaker.settings.options import redacted
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.section import Configuration


def settings_of(
    section: Mapping[str, Any] | None,
    configuration: Configuration,
    in_force: Options | None = None,
    local: bool = False,
) -> Iterator[Setting]:
    """Yield all settings that are in force, those of sessions first.

    The arguments are those of ``make_report``.
    """
    given = {key.lower().removeprefix("beaker.") for key in (section or {})}
    read = configuration.session
    if in_force is None:
        in_force = read
    if in_force is not None:
        options = with_defaults(in_force)
        # A name that is no text is an error, and there is nothing to show.
        names = sorted(name for name in options if isinstance(name, str))
        for option in names:
            value = options[option]
            if local:
                source = LOCAL if option in in_force else DEFAULT
            elif read is None or value != read.get(option):
                source = RUN_TIME
            else:
                source = _zope_conf_or_default(given, f"session.{option}")
            yield _make_setting("session", option, value, source)
    for prefix, options in configuration.caches.items():
        yield from _cache_settings(given, prefix, options)
        if prefix == "cache":
            source = _zope_conf_or_default(given, "cache.regions")
            regions = list(configuration.regions)
            yield _make_setting("cache", "regions", regions, source)
    if configuration.memoize:
        yield _make_setting(
            "cache", "memoize", configuration.memoize, ZOPE_CONF
        )
    yield from _metrics_settings(configuration)


def _metrics_settings(configuration: Configuration) -> Iterator[Setting]:
    for option, value in configuration.metrics.items():
        yield _make_setting("metrics", option, value, ZOPE_CONF)


def _cache_settings(
    given: set[str], prefix: str, options: Options
) -> Iterator[Setting]:
    for option, value in options.items():
        source = _zope_conf_or_default(given, f"{prefix}.{option}".lower())
        if source == DEFAULT and f"cache.{option}" in given:
            source = INHERITED
        yield _make_setting(prefix, option, value, source)


def _zope_conf_or_default(given: set[str], name: str) -> str:
    return ZOPE_CONF if name in given else DEFAULT


def _make_setting(
    prefix: str, option: str, value: object, source: str
) -> Setting:
    return Setting(f"{prefix}.{option}", _displayable(option, value), source)


def _displayable(option: str, value: object) -> SettingValue:
    """Return a value that may be shown, and that JSON can hold."""
    if value is None or value == ():
        return None
    shown = redacted(option, value)
    if shown == redacted("secret", value):
        return shown
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, (list, tuple)):
        return [_displayable(option, each) for each in value]
    if isinstance(value, (str, datetime)):
        return shown
    # For example a client or the options of an engine: they hold passwords.
    return f"<{type(value).__name__}>"
