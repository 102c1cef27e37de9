"""Draw the results of a comparison."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.measure import Result
from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE
from benchmarks.subject import PACKAGE
from benchmarks.subject import SESSIONS


COLOURS = {
    PACKAGE: "#0072b2",
    MIDDLEWARE: "#e69f00",
    SESSIONS: "#999999",
    MCDUTILS: "#cc79a7",
}
"""The colours of the bars, which are safe for colour blindness."""

_HEIGHT = 0.8
"""The height of all bars of one store; the stores are 1 apart."""


def draw_comparison(results: list[Result], path: Path, keys: int = 1) -> None:
    """Draw the CPU time of reading and writing, on each store."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, view in zip(panels, ("read", "write"), strict=True):
        _draw(
            panel,
            [r for r in results if (r.view, r.keys) == (view, keys)],
            f"A request that {view}s",
        )
    panels[0].invert_yaxis()  # shared by both
    figure.supxlabel("CPU time over Zope alone, in microseconds")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    figure.savefig(path, metadata={"Date": None})


def _draw(panel: Any, results: list[Result], title: str) -> None:
    stores = list(dict.fromkeys(r.store for r in results if r.store))
    for kind, colour in COLOURS.items():
        drawn = [r for r in results if r.kind == kind]
        places = [_place(r, results, stores) for r in drawn]
        bars = panel.barh(
            [place for place, _ in places],
            [max(r.over_bare["cpu"], 0) for r in drawn],
            height=[height for _, height in places],
            color=colour,
            label=kind,
        )
        panel.bar_label(bars, fmt="%.0f", padding=2, fontsize=7)
    panel.set_title(title)
    panel.set_yticks(range(len(stores)), stores)
    panel.margins(x=0.12)
    panel.spines[["top", "right"]].set_visible(False)


def _place(
    result: Result, results: list[Result], stores: list[str]
) -> tuple[float, float]:
    """Return the position and the height of the bar of a result."""
    kinds = [
        kind
        for kind in COLOURS
        if any((r.kind, r.store) == (kind, result.store) for r in results)
    ]
    height = _HEIGHT / len(kinds)
    position = kinds.index(result.kind) - (len(kinds) - 1) / 2
    return stores.index(result.store) + position * height, height
