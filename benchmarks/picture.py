"""The results of a comparison as a picture."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.measure import Result
from benchmarks.subject import MCDUTILS
from benchmarks.subject import MIDDLEWARE
from benchmarks.subject import PACKAGE
from benchmarks.subject import SESSIONS


# Colours that people tell apart who see colours differently.
COLOURS = {
    PACKAGE: "#0072b2",
    MIDDLEWARE: "#e69f00",
    SESSIONS: "#999999",
    MCDUTILS: "#cc79a7",
}

_HEIGHT = 0.8
"""Of the bars of one store, where the next store is 1 away."""


def draw_comparison(results: list[Result], path: Path, keys: int = 1) -> None:
    """Draw what reading and writing cost on each store, in CPU time."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, view in zip(panels, ("read", "write"), strict=True):
        _draw(
            panel,
            [r for r in results if (r.view, r.keys) == (view, keys)],
            f"A request that {view}s",
        )
    panels[0].invert_yaxis()  # of both
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
    """Return where the bar of a result is, and how high."""
    kinds = [
        kind
        for kind in COLOURS
        if any((r.kind, r.store) == (kind, result.store) for r in results)
    ]
    height = _HEIGHT / len(kinds)
    position = kinds.index(result.kind) - (len(kinds) - 1) / 2
    return stores.index(result.store) + position * height, height
