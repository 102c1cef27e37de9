"""What sites configure for themselves: options in the database of Zope."""

from collections import deque
from collections.abc import Hashable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from functools import reduce
from itertools import chain
from itertools import combinations
from typing import Any
from typing import NamedTuple

from Acquisition import aq_base
from OFS.ObjectManager import ObjectManager
from OFS.Uninstalled import BrokenClass
from zope.component import getGlobalSiteManager
from zope.component.interfaces import ISite
from zope.interface.interfaces import ComponentLookupError

from collective.beaker.interfaces import ISessionConfig
from collective.beaker.maintenance.stored import Options
from collective.beaker.session.owners import OFF
from collective.beaker.session.policy import copied
from collective.beaker.session.policy import keys_of
from collective.beaker.settings.backends import places_of
from collective.beaker.settings.checks import DIFFER_IN_ONE_PLACE
from collective.beaker.settings.checks import differ_in_one_place
from collective.beaker.settings.options import with_defaults


ZOPE_CONF = "zope.conf"
"""The owner of the options for the whole Zope."""

_MOST_FOLDERS = 10_000
"""In how many folders sites are looked for."""

_INTERFACES = "object_provides"
"""The index of a catalog that tells which objects are sites."""


class Owned(NamedTuple):
    """Session options, and who has set them."""

    owner: str
    """``ZOPE_CONF``, or the path of a site, or several of them."""

    options: Options

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.owner}>"


def of_zope_conf(options: Options | None) -> list[Owned]:
    """Return the options for the whole Zope, if there are any."""
    return [] if options is None else [Owned(ZOPE_CONF, options)]


@dataclass
class Sites:
    """The sites that configure sessions for themselves."""

    found: list[Owned] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What could not be read, each with the remedy."""


def read_sites(root: Any) -> Sites:
    """Return the options of all sites below Zope's root folder, and its own.

    A site that has those of a site around it is left out.  The result does
    not depend on the connection to the database.
    """
    sites = Sites()
    known = [getGlobalSiteManager().queryUtility(ISessionConfig), None]
    for site in _walk_sites(root, sites.problems):
        path = _path(site)
        try:
            options = site.getSiteManager().queryUtility(ISessionConfig)
            if not any(options is each for each in known):
                known.append(options)
                sites.found.append(Owned(path, copied(dict(options))))
        except ComponentLookupError:
            # It has no site manager of its own.
            continue
        except Exception as error:
            sites.problems.append(
                f"{path}: its options cannot be read "
                f"({type(error).__name__}). Register them anew."
            )
    return sites


def _walk_sites(root: Any, problems: list[str]) -> Iterator[Any]:
    """Yield the sites in folders at any depth, those further up first.

    Where there is a catalog, as in Plone, it names the sites below, since
    looking at all content would take too long.
    """
    folders = deque([root])
    looked_at = 0
    while folders:
        if looked_at == _MOST_FOLDERS:
            problems.append(
                f"Sites were looked for in {_MOST_FOLDERS:,} folders only. "
                "What sites in others configure is not known here: give them "
                "a store that removes expired sessions by itself."
            )
            return
        folder = folders.popleft()
        looked_at += 1
        if ISite.providedBy(folder):
            yield folder
        below = _sites_of_catalog(folder, problems)
        if below is None:
            folders += _folders_in(folder, problems)
        else:
            yield from below


def _folders_in(folder: Any, problems: list[str]) -> Iterator[Any]:
    """Yield the folders in a folder.

    To know that an object is none, it is not loaded.
    """
    for name, each in folder.objectItems():
        base = aq_base(each)
        if isinstance(base, BrokenClass):
            kind = type(base)
            problems.append(
                f"{_path(folder).rstrip('/')}/{name}: its class "
                f"{kind.__module__}.{kind.__name__} cannot be imported. "
                "Install its package, or use the Python of Zope."
            )
        elif isinstance(base, ObjectManager):
            yield each


def _sites_of_catalog(folder: Any, problems: list[str]) -> list[Any] | None:
    """Return the sites that a catalog names; None if there is none to ask."""
    catalog = getattr(aq_base(folder), "portal_catalog", None)
    if catalog is None:
        return None
    try:
        if _INTERFACES not in catalog.indexes():
            return None
        return list(_search_sites(folder, aq_base(catalog).__of__(folder)))
    except Exception as error:
        problems.append(
            f"{_path(folder).rstrip('/')}/portal_catalog: it names no sites "
            f"({type(error).__name__}), which are looked for in folders. "
            "Repair or remove it."
        )
        return None


def _search_sites(folder: Any, catalog: Any) -> Iterator[Any]:
    query = {_INTERFACES: ISite.__identifier__}
    for brain in catalog.unrestrictedSearchResults(**query):
        found = folder.unrestrictedTraverse(brain.getPath(), None)
        if found is not None:
            yield found


def _path(folder: Any) -> str:
    return "/".join(folder.getPhysicalPath()) or "/"


def one_for_each_place(all_options: Iterable[Owned]) -> list[Owned]:
    """Join options that keep sessions in one place.

    The longer timeouts hold then: nobody must lose a session that the other
    options keep.  The secrets of all find users, and where sessions moved.
    Users are known if they are to any of the options.
    """
    groups: list[list[Owned]] = []
    for owned in all_options:
        places = places_of(owned.options)
        apart = [each for each in groups if places.isdisjoint(_places(each))]
        near = [each for each in groups if each not in apart]
        groups = [*apart, [*chain(*near), owned]]
    return [reduce(_join, group) for group in groups]


def place_warnings(all_options: Iterable[Owned]) -> Iterator[str]:
    """Warn of options that share a place, but no timeouts."""
    for one, other in combinations(all_options, 2):
        if differ_in_one_place(one.options, other.options):
            yield (
                f"The sessions of {one.owner} and those of {other.owner} "
                f"{DIFFER_IN_ONE_PLACE}"
            )


def _places(group: Iterable[Owned]) -> set[Hashable]:
    return set(chain(*(places_of(owned.options) for owned in group)))


def _join(one: Owned, other: Owned) -> Owned:
    both = [with_defaults(each.options) for each in (one, other)]
    joined: dict[str, Any] = {}
    for option in ("timeout", "absolute_timeout"):
        limits = [options[option] for options in both]
        joined[option] = max(limits) if all(limits) else None
    for options in both:
        if options["login_policy"] != OFF:
            joined["login_policy"] = options["login_policy"]
    secrets = {
        secret: None
        for options in both
        for secret in keys_of(options, "secret")
    }
    if secrets:
        joined["secret"], *joined["secret_fallbacks"] = secrets
    return Owned(f"{one.owner}, {other.owner}", {**one.options, **joined})
