"""The charts of the page: tables with bars that need no inline styles."""

from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

from collective.beaker import wording
from collective.beaker.maintenance.survey import AGES
from collective.beaker.maintenance.survey import SIZES
from collective.beaker.maintenance.survey import Survey
from collective.beaker.report.parts import Figures
from collective.beaker.report.parts import Region


class Bar(NamedTuple):
    """One row of a chart."""

    label: str
    number: int
    percent: int
    """The length of the bar, relative to the longest."""


class Chart(NamedTuple):
    """A table of bars, without those that would be empty."""

    title: str
    bars: list[Bar]
    note: str = ""
    """What is to be said about it, besides the bars."""


def make_charts(found: Survey) -> list[Chart]:
    """Return the charts of a survey, unless there is nothing in them."""
    ages = wording.ranges(AGES, wording.duration)
    sizes = wording.ranges(SIZES, wording.size)
    charts = [
        _make_chart("Not used for", ages, found.idle),
        _make_chart("Age", ages, found.age),
        _make_chart("Size", sizes, found.size),
    ]
    return [chart for chart in charts if chart.bars]


def make_cache_charts(regions: Iterable[Region]) -> list[Chart]:
    """Return a chart of hits against misses for each region in use."""
    return [
        _make_chart(
            region.name,
            ("Hits", "Stale", "Misses"),
            (figures.hits, figures.stale, figures.misses),
            _note(figures),
        )
        for region in regions
        if (figures := region.figures) and figures.requests
    ]


def _note(found: Figures) -> str:
    """Return a sentence about what a cache region has done."""
    percent = 100 * (found.hits + found.stale) // found.requests
    parts = [
        f"{percent}\N{NO-BREAK SPACE}% from the cache",
        f"{wording.duration(found.saved_seconds)} of computing saved",
        wording.number(found.waits, "wait"),
        wording.number(found.errors, "error"),
    ]
    if found.entries is not None:
        parts.append(f"{wording.number(found.entries, 'value')} stored")
    if found.bytes is not None:
        parts.append(wording.size(found.bytes))
    return ", ".join(parts)


def _make_chart(
    title: str,
    labels: Sequence[str],
    numbers: Sequence[int],
    note: str = "",
) -> Chart:
    longest = max(1, *numbers)
    rows = zip(labels, numbers, strict=True)
    return Chart(
        title,
        # Rounded up, so that even the smallest number shows a bar.
        [Bar(label, n, -(-100 * n // longest)) for label, n in rows if n],
        note,
    )
