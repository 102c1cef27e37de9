"""Draw what it takes to get a value from a cache."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.cache_jobs import HIT
from benchmarks.cache_jobs import NEW
from benchmarks.cache_jobs import Job
from benchmarks.cache_peers import BEAKER
from benchmarks.cache_peers import CACHED
from benchmarks.cache_peers import CACHELIB
from benchmarks.cache_peers import DISKCACHE
from benchmarks.cache_peers import DOGPILE
from benchmarks.cache_peers import MEMOIZE
from benchmarks.cache_peers import RAW
from benchmarks.cache_peers import TAGGED
from benchmarks.cache_tables import shown


COLOURS = {
    CACHED: "#0072b2",
    TAGGED: "#56b4e9",
    BEAKER: "#e69f00",
    DOGPILE: "#009e73",
    MEMOIZE: "#cc79a7",
    CACHELIB: "#f0e442",
    DISKCACHE: "#d55e00",
    RAW: "#999999",
}
"""The colours of the bars, which are safe for colour blindness."""


def draw_caches(jobs: list[Job], path: Path, size: int = 200) -> None:
    """Draw a hit and a new value, in each store, with the fewest keys."""
    few = min(job.case.keys for job in jobs)
    drawn = [
        job
        for job in jobs
        if (job.case.size, job.case.keys) == (size, few)
        and job.peer in COLOURS
    ]
    stores = list(dict.fromkeys(job.case.store for job in drawn))
    figure = Figure(figsize=(10, 5.5), layout="constrained")
    panels = figure.subplots(2, len(stores), squeeze=False)
    for row, does in zip(panels, (HIT, NEW), strict=True):
        for panel, store in zip(row, stores, strict=True):
            _draw(
                panel,
                [
                    job
                    for job in drawn
                    if (job.case.store, job.case.does) == (store, does)
                ],
                f"{store}: {does}",
            )
    figure.supxlabel(f"Microseconds a call, with values of {size} bytes")
    figure.savefig(path, metadata={"Date": None})


def _draw(panel: Any, jobs: list[Job], title: str) -> None:
    bars = panel.barh(
        [job.peer for job in jobs],
        [job.cost for job in jobs],
        color=[COLOURS[job.peer] for job in jobs],
    )
    panel.bar_label(bars, fmt=shown, padding=2, fontsize=7)
    panel.invert_yaxis()
    panel.set_title(title, fontsize=10)
    panel.tick_params(labelsize=7)
    panel.margins(x=0.2)
    panel.spines[["top", "right"]].set_visible(False)
