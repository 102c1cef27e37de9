"""The cache regions: what they have done, and what they hold."""

import time
from collections.abc import Iterator
from contextlib import suppress

from collective.beaker.caching.counters import Counters
from collective.beaker.caching.counters import counters_of
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.maintenance.caches import cache_size
from collective.beaker.report.parts import Figures
from collective.beaker.report.parts import Region
from collective.beaker.report.parts import Report
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.section import Configuration


def regions_of(configuration: Configuration) -> Iterator[Region]:
    """Yield the caches without a region, and all cache regions."""
    for prefix, options in configuration.caches.items():
        name = prefix.removeprefix("cache.")
        yield Region(name, options["type"], options.get("expire"))


def add_figures(
    report: Report, configuration: Configuration, seconds: float
) -> None:
    """Add what each region has done in this process, and what it holds.

    All regions together are counted for so many seconds, and no store is asked
    that has failed.
    """
    working = {check.name for check in report.stores if check.works}
    end = time.monotonic() + seconds
    for region, (prefix, options) in zip(
        report.regions, configuration.caches.items(), strict=True
    ):
        if backend_of(options).is_foreign:
            continue
        name = prefix.removeprefix("cache").removeprefix(".")
        region.figures = figures_of(counters_of(name))
        left = end - time.monotonic()
        if prefix in working and left > 0:
            with suppress(StoreUnavailable):
                size = cache_size(name, options, left)
                if size is not None:
                    region.figures.entries = size.entries
                    region.figures.bytes = size.bytes


def figures_of(counters: Counters) -> Figures:
    """Return what was counted so far."""
    return Figures(
        **{name: getattr(counters, name) for name in Counters.__slots__}
    )
