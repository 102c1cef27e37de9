"""The charts of the page: tables whose bars have no need of styles."""

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
    """How long the bar is, compared with the longest."""


class Chart(NamedTuple):
    """A table of bars."""

    title: str
    bars: list[Bar]


def charts(found: Survey) -> list[Chart]:
    """Return the charts of sessions that were counted."""
    ages = wording.ranges(AGES, wording.duration)
    sizes = wording.ranges(SIZES, wording.size)
    return [
        _chart("Not used for", ages, found.idle),
        _chart("Age", ages, found.age),
        _chart("Size", sizes, found.size),
    ]


def _chart(title: str, labels: Sequence[str], numbers: Sequence[int]) -> Chart:
    longest = max(1, *numbers)
    rows = zip(labels, numbers, strict=True)
    return Chart(
        title,
        # What is more than nothing is seen.
        [Bar(label, n, -(-100 * n // longest)) for label, n in rows],
    )
