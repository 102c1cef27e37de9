"""The charts of the page: tables with bars that need no inline styles."""

from collections.abc import Sequence
from typing import NamedTuple

from collective.beaker import wording
from collective.beaker.maintenance.survey import AGES
from collective.beaker.maintenance.survey import SIZES
from collective.beaker.maintenance.survey import Survey


class Bar(NamedTuple):
    """One row of a chart."""

    label: str
    number: int
    percent: int
    """The length of the bar, relative to the longest."""


class Chart(NamedTuple):
    """A table of bars."""

    title: str
    bars: list[Bar]


def make_charts(found: Survey) -> list[Chart]:
    """Return the charts of a survey."""
    ages = wording.ranges(AGES, wording.duration)
    sizes = wording.ranges(SIZES, wording.size)
    return [
        _make_chart("Not used for", ages, found.idle),
        _make_chart("Age", ages, found.age),
        _make_chart("Size", sizes, found.size),
    ]


def _make_chart(
    title: str, labels: Sequence[str], numbers: Sequence[int]
) -> Chart:
    longest = max(1, *numbers)
    rows = zip(labels, numbers, strict=True)
    return Chart(
        title,
        # Rounded up, so that even the smallest number shows a bar.
        [Bar(label, n, -(-100 * n // longest)) for label, n in rows],
    )
