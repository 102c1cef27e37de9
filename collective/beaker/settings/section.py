"""From the beaker section of zope.conf to checked options for Beaker.

Nothing here needs a running Zope or uses a store.
"""

import re
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from dataclasses import field
from difflib import get_close_matches
from typing import Any

from collective.beaker.settings.backends import Backend
from collective.beaker.settings.backends import backend_names
from collective.beaker.settings.backends import find_backend
from collective.beaker.settings.backends import kind_of
from collective.beaker.settings.backends import python_options
from collective.beaker.settings.checks import ReadOptions
from collective.beaker.settings.checks import backend_errors
from collective.beaker.settings.checks import cache_errors
from collective.beaker.settings.checks import cache_warnings
from collective.beaker.settings.checks import login_errors
from collective.beaker.settings.checks import memoize_errors
from collective.beaker.settings.checks import memoize_warnings
from collective.beaker.settings.checks import metrics_errors
from collective.beaker.settings.checks import session_errors
from collective.beaker.settings.checks import session_warnings
from collective.beaker.settings.checks import sharing_warnings
from collective.beaker.settings.keys import SHORT_KEY
from collective.beaker.settings.options import CACHE_DEFAULTS
from collective.beaker.settings.options import CACHE_OPTIONS
from collective.beaker.settings.options import FALLBACK_OPTIONS
from collective.beaker.settings.options import METRICS_OPTIONS
from collective.beaker.settings.options import REFUSED_CACHE_OPTIONS
from collective.beaker.settings.options import REFUSED_SESSION_OPTIONS
from collective.beaker.settings.options import SESSION_OPTIONS
from collective.beaker.settings.options import WHOLE_CACHE_OPTIONS
from collective.beaker.settings.options import check_python_value
from collective.beaker.settings.options import redacted
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.readers import Reader
from collective.beaker.settings.readers import names
from collective.beaker.settings.readers import text


@dataclass(repr=False)
class Configuration:
    """What a beaker section configures."""

    session: dict[str, Any] | None = None
    """The session options with their defaults, or None if none is set."""

    cache: dict[str, Any] | None = None
    """The arguments for a CacheManager, or None if there is no section."""

    memoize: str = ""
    """The cache region for what plone.memoize keeps, or "" for none."""

    metrics: dict[str, Any] = field(default_factory=dict)
    """The options of the figures for Prometheus that are set."""

    errors: list[str] = field(default_factory=list)
    """Messages that name the setting, the value and the remedy."""

    warnings: list[str] = field(default_factory=list)
    """Such messages about what does not prevent Zope from starting."""

    @property
    def has_zope_session(self) -> bool:
        """Whether ``request.SESSION`` is offered, in all sites."""
        return bool(self.session and self.session["zope_session"])

    @property
    def regions(self) -> dict[str, dict[str, Any]]:
        """The options of each cache region, by its name."""
        if self.cache is None:
            return {}
        regions: dict[str, dict[str, Any]] = self.cache["cache_regions"]
        return regions

    @property
    def caches(self) -> dict[str, dict[str, Any]]:
        """The options of all caches, by the prefix of their settings.

        The prefix is "cache" for caches without a region, and for example
        "cache.short" for a region.
        """
        if self.cache is None:
            return {}
        own = {
            option: value
            for option, value in self.cache.items()
            if option != "cache_regions"
        }
        return {"cache": own} | {
            f"cache.{name}": options for name, options in self.regions.items()
        }


def read_configuration(section: Mapping[str, Any] | None) -> Configuration:
    """Read the settings of a beaker section.

    The values are text, as ZConfig returns them; values of other types are
    not changed.  Nothing is raised: the result has the errors.
    """
    found = Configuration()
    if section is None:
        return found

    groups: dict[str, dict[str, Any]] = {
        "session": {},
        "cache": {},
        "metrics": {},
    }
    for key, value in section.items():
        prefix, _, option = key.removeprefix("beaker.").partition(".")
        if prefix not in groups or not option:
            found.warnings.append(_misplaced(key, value))
            continue
        if option in groups[prefix]:
            found.warnings.append(
                f"{prefix}.{option} is set twice, with and without beaker. "
                "before it; the later line applies. Remove one."
            )
        groups[prefix][option] = value

    found.memoize = _take_memoize(groups["cache"], found)
    found.cache = _read_cache(groups["cache"], found)
    if found.memoize:
        found.errors += memoize_errors(found.memoize, found.regions)
    if groups["session"]:
        found.session = _read_session(groups["session"], found)
    found.metrics = _read_metrics(groups["metrics"], found)
    _share_secret(found)
    for prefix, options in found.caches.items():
        found.errors += cache_errors(prefix, options)
    if not found.errors:
        found.warnings += cache_warnings(found.caches, found.session or {})
        if found.memoize:
            found.warnings += memoize_warnings(found.memoize, found.regions)
        if found.session is not None:
            found.warnings += sharing_warnings(found.session, found.caches)
    return found


def _share_secret(found: Configuration) -> None:
    """Let caches without a secret have that of the sessions.

    The keys that are made of it differ.  Former keys of caches alone are an
    error, and not lost without a word.
    """
    session = found.session or {}
    if found.cache is None or not session.get("secret"):
        return
    for options in (found.cache, *found.regions.values()):
        if not (options["secret"] or options["secret_fallbacks"]):
            options["secret"] = session["secret"]
            options["secret_fallbacks"] = session["secret_fallbacks"]


# Sessions and caches


def _read_session(
    given: dict[str, Any], found: Configuration
) -> dict[str, Any]:
    _refuse("session", given, REFUSED_SESSION_OPTIONS, found)
    if given.get("cookie_expires") in ("0", "1"):
        found.warnings.append(_ambiguous_expiry(given["cookie_expires"]))
    return _checked_session(given, _read_values, found)


def check_session_options(
    given: Mapping[str, Any], zope_session: bool = False
) -> Configuration:
    """Check session options that code has set, such as those of a site.

    They are Python values, and nothing converts them.  Nothing is raised: the
    result has the errors.  ``zope_session`` is the option of zope.conf, which
    holds in all sites.
    """
    found = Configuration()
    named = {key: given[key] for key in given if isinstance(key, str)}
    found.errors += [
        f"{key!r} is no name of a session option: names are texts. Remove it."
        for key in given
        if key not in named
    ]
    found.session = _checked_session(named, _check_values, found)
    if not found.errors:
        found.warnings += login_errors(
            {**found.session, "zope_session": zope_session}
        )
    return found


def _checked_session(
    given: Mapping[str, Any],
    values_of: Callable[..., dict[str, Any]],
    found: Configuration,
) -> dict[str, Any]:
    """Return session options with their defaults.

    ``values_of`` is called as ``_read_values`` is.
    """
    name = kind_of(given)
    backend = _backend("session", name, found)
    readers = {**backend.options, **SESSION_OPTIONS}
    values = values_of("session", given, readers, found)
    options = with_defaults(values)
    read = ReadOptions(options, given.keys() - values.keys())
    known = {**readers, **REFUSED_SESSION_OPTIONS, **python_options()}
    found.warnings += _unknown("session", given, known, backend.takes_any)
    found.warnings += session_warnings(read, backend)
    found.errors += backend_errors("session", read, name, backend)
    found.errors += session_errors(read)
    return options


def _read_cache(given: dict[str, Any], found: Configuration) -> dict[str, Any]:
    regions = given.pop("regions", None) or ()
    if isinstance(regions, str):
        if hint := _hint(regions):
            found.warnings.append(f"cache.regions is {regions!r}.{hint}")
        regions = names(regions)
    regions = list(dict.fromkeys(regions))
    found.errors += _ambiguous_regions(regions)
    # A name may begin with another one and a dot.
    longest_first = sorted(regions, key=len, reverse=True)
    taken = {name: _take_region(name, given) for name in longest_first}
    own = {name: taken[name] for name in regions}
    _refuse("cache", given, REFUSED_CACHE_OPTIONS, found)

    name = given.get("type") or CACHE_DEFAULTS["type"]
    default = _backend("cache", name, found)
    backends = {
        region: _backend(f"cache.{region}", settings["type"], found)
        for region, settings in own.items()
        if "type" in settings
    }
    # Regions inherit, so the cache may have options that only the backends of
    # its regions know.
    readers = dict(CACHE_OPTIONS)
    for backend in (*backends.values(), default):
        readers |= backend.options
    takes_any = any(
        backend.takes_any for backend in (*backends.values(), default)
    )

    values = _read_values("cache", given, readers, found)
    options = CACHE_DEFAULTS | values
    misread = given.keys() - values.keys()
    found.warnings += _unknown(
        "cache", given, {*readers, *WHOLE_CACHE_OPTIONS, "regions"}, takes_any
    )
    found.errors += backend_errors(
        "cache", ReadOptions(options, misread), name, default
    )

    configured = {
        region: options
        | _read_region(
            region,
            settings,
            options,
            misread,
            backends.get(region, default),
            found,
        )
        for region, settings in own.items()
    }
    return options | {"cache_regions": configured}


def _take_memoize(given: dict[str, Any], found: Configuration) -> str:
    """Remove the setting for plone.memoize from those of caches; return it."""
    options = WHOLE_CACHE_OPTIONS
    own = {option: given.pop(option) for option in options if option in given}
    value: str = _read_values("cache", own, options, found).get("memoize", "")
    return value


def _read_metrics(
    given: dict[str, Any], found: Configuration
) -> dict[str, Any]:
    values = _read_values("metrics", given, METRICS_OPTIONS, found)
    found.warnings += _unknown("metrics", given, METRICS_OPTIONS, False)
    found.errors += metrics_errors(values)
    return values


def _read_region(
    region: str,
    given: dict[str, Any],
    inherited: dict[str, Any],
    misread: AbstractSet[str],
    backend: Backend,
    found: Configuration,
) -> dict[str, Any]:
    """Read a region's own options.

    ``misread`` are the options of the cache that could not be read.
    """
    prefix = f"cache.{region}"
    _refuse(prefix, given, REFUSED_CACHE_OPTIONS, found)
    readers = {**CACHE_OPTIONS, **backend.options}
    values = _read_values(prefix, given, readers, found)
    found.warnings += _unknown(prefix, given, readers, backend.takes_any)
    if given.keys() & {"type", *backend.options}:
        name = given.get("type", inherited["type"])
        read = ReadOptions(
            inherited | values,
            (misread | given.keys()) - values.keys(),
        )
        found.errors += backend_errors(prefix, read, name, backend)
    return values


def _take_region(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Remove a region's own settings from those of the cache; return them.

    ZConfig has converted all keys to lower case, but not the region's name.
    """
    prefix = f"{name.lower()}."
    keys = [key for key in given if key.lower().startswith(prefix)]
    return {key[len(prefix) :]: given.pop(key) for key in keys}


# One group of settings


def _backend(prefix: str, name: str, found: Configuration) -> Backend:
    """Return a backend; an unknown one accepts every option."""
    of_caches = prefix != "session"
    try:
        backend = find_backend(name)
        reason = backend.refused or (of_caches and backend.not_for_caches)
        if reason:
            raise LookupError(reason)
        return backend
    except LookupError as error:
        others = [other for other in backend_names(of_caches) if other != name]
        # Somebody may have written the address here.
        shown = redacted("type", name)
        found.errors.append(
            f"{prefix}.type is {shown!r}: {error}. "
            f"Use one of {', '.join(others)}.{_hint(name)}"
        )
        return Backend(name, takes_any=True)


def _refuse(
    prefix: str,
    given: dict[str, Any],
    refused: Mapping[str, str],
    found: Configuration,
) -> None:
    """Remove the options that only Python can set, with errors."""
    refused = {**refused, **python_options()}
    for option in sorted(refused.keys() & given.keys()):
        del given[option]
        found.errors.append(
            f"{prefix}.{option} cannot be set here: {refused[option]}. "
            "Remove the line."
        )


def _read_values(
    prefix: str,
    given: Mapping[str, Any],
    readers: Mapping[str, Reader],
    found: Configuration,
) -> dict[str, Any]:
    """Return the values of a group, without those that cannot be read.

    The values of unknown options are not changed.
    """
    values: dict[str, Any] = {}
    for option, value in given.items():
        if not isinstance(value, str):
            values[option] = value
            continue
        try:
            values[option] = _read_value(value, readers.get(option, text))
        except ValueError as error:
            found.errors.append(
                _refusal(prefix, option, value, error) + _hint(value)
            )
            continue
        if hint := _hint(value):
            shown = redacted(option, value)
            found.warnings.append(f"{prefix}.{option} is {shown!r}.{hint}")
    return values


def _check_values(
    prefix: str,
    given: Mapping[str, Any],
    readers: Mapping[str, Reader],
    found: Configuration,
) -> dict[str, Any]:
    """Return the values of a group, without those of a wrong type.

    Code that has set them to texts has to convert these.
    """
    values = dict(given)
    for option, value in given.items():
        try:
            error = _conversion_error(prefix, option, value, readers)
        except ValueError as reason:
            error = _refusal(prefix, option, value, reason)
        if error is not None:
            found.errors.append(error)
            del values[option]
    return values


def _conversion_error(
    prefix: str, option: str, value: Any, readers: Mapping[str, Reader]
) -> str | None:
    """Return the error of a text that must be converted.

    Raises ValueError for a value of any type that must be another.
    """
    if not isinstance(value, str) or option in REFUSED_SESSION_OPTIONS:
        check_python_value(option, value)
        return None
    if option in FALLBACK_OPTIONS:
        return None
    read = _read_value(value, readers.get(option, text))
    if isinstance(read, str):
        return None
    return (
        f"{prefix}.{option} is the text {_shown(option, value)}, which "
        f"nothing converts here. Set it to {read!r}, without quotes."
    )


def _read_value(text: str, reader: Reader) -> Any:
    if not text.strip():
        raise ValueError("given a value, or removed")
    return reader(text)


# Messages


def _refusal(prefix: str, option: str, value: Any, reason: ValueError) -> str:
    """Return the error of a value that cannot be read."""
    shown = _shown(option, value)
    return f"{prefix}.{option} is {shown}; it must be {reason}."


def _shown(option: str, value: Any) -> str:
    """Return a value as Python code has it, if it may be shown."""
    if isinstance(value, str):
        return repr(redacted(option, value))
    return redacted(option, repr(value))


def _hint(value: str) -> str:
    """Return a remark if zope.conf has another syntax than the value."""
    if value.startswith("= "):
        return " (zope.conf has no = before a value.)"
    if " #" in value:
        return " (zope.conf has no comments after a value.)"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return " (zope.conf keeps quotes as part of the value.)"
    return ""


def _ambiguous_regions(regions: Collection[str]) -> Iterator[str]:
    """Yield an error if settings cannot distinguish the regions."""
    if len({name.lower() for name in regions}) < len(regions):
        yield (
            f"cache.regions is {', '.join(regions)!r}: zope.conf does not "
            "distinguish names that differ only in case. Rename one."
        )


def _ambiguous_expiry(text: str) -> str:
    """Return a warning of 0 or 1, which Beaker reads as booleans."""
    end, word = {
        "0": ("the year 2038", "off"),
        "1": ("the browser is closed", "on"),
    }[text]
    return (
        f"session.cookie_expires is {text!r}, which keeps the cookie until "
        f"{end}. Write {word}, or a larger number of seconds."
    )


def _unknown(
    prefix: str,
    given: Collection[str],
    known: Collection[str],
    takes_any: bool,
) -> Iterator[str]:
    """Yield warnings of options that nothing reads."""
    for option in given:
        if option in known:
            continue
        region, _, name = option.rpartition(".")
        remedy = _did_you_mean(option, known, f"{prefix}.")
        if name in known and prefix.startswith("cache"):
            missing = f"{prefix}.{region}".removeprefix("cache.")
            remedy = f" Is {missing} missing in cache.regions?"
        if remedy or not takes_any:
            yield (
                f"{prefix}.{option} is an option that neither Beaker nor "
                f"the backend knows; it has no effect.{remedy}"
            )


def _misplaced(key: str, value: Any) -> str:
    """Return a warning of a key of none of the groups."""
    known = [f"session.{option}" for option in SESSION_OPTIONS]
    known += [f"cache.{option}" for option in (*CACHE_OPTIONS, "regions")]
    known += [f"cache.{option}" for option in WHOLE_CACHE_OPTIONS]
    known += [f"metrics.{option}" for option in METRICS_OPTIONS]
    if key in ("session", "cache"):
        # There is a blank in place of the dot, so the option is in the value.
        # Anything but an option may be a secret.
        word = re.split("[ =]", str(value), maxsplit=1)[0]
        remedy = _did_you_mean(f"{key}.{word}", known)
        key = f"{key} {word}" if f"{key}.{word}" in known else key
    else:
        remedy = _did_you_mean(key.replace(" ", "."), known)
        if not remedy and len(key) >= SHORT_KEY:
            # A secret may have been continued on a line of its own.
            remedy = " Write a setting and its value on one line."
            key = f"A name of {len(key)} characters (hidden)"
    return (
        f"{key} in the beaker section is ignored: settings begin with "
        f"cache., session. or metrics.{remedy}"
    )


def _did_you_mean(word: str, known: Collection[str], prefix: str = "") -> str:
    for match in get_close_matches(word, known, n=1, cutoff=0.81):
        return f" Did you mean {prefix}{match}?"
    return ""
