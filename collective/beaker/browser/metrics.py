"""The figures for Prometheus, as OpenMetrics text.

The names are those that Prometheus recommends: what is counted ends with
``_total``, and a unit is part of the name.
"""

import hmac
from collections.abc import Iterable
from collections.abc import Iterator
from typing import NamedTuple

from collective.beaker.browser.base import View
from collective.beaker.report.parts import Count
from collective.beaker.report.parts import Figures
from collective.beaker.report.parts import Region
from collective.beaker.report.parts import Report


_CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_STATUS = "@@beaker-status.json"
"""The view whose permission is needed, unless there is a token."""

_BEARER = "bearer "
"""What stands before a token in the header (RFC 6750)."""


class Metrics(View):
    """The figures for Prometheus.

    Whoever may see the page gets them, and anyone with the token that
    zope.conf has.
    """

    def __call__(self) -> str:
        self.never_cache()
        if not self._has_token():
            # This raises Unauthorized for anyone who may not see it.
            self.context.restrictedTraverse(_STATUS)
        response = self.request.response
        response.setHeader("Content-Type", _CONTENT_TYPE)
        return metrics_text(self.make_report())

    def _has_token(self) -> bool:
        token = self.read_configuration().metrics.get("token")
        # Zope removes the header from the environment.
        given = self.request._auth or ""
        if not token or given[: len(_BEARER)].lower() != _BEARER:
            return False
        return hmac.compare_digest(
            given[len(_BEARER) :].strip().encode("utf-8", "surrogateescape"),
            token.encode("utf-8", "surrogateescape"),
        )


class Family(NamedTuple):
    """Samples of one name."""

    name: str
    help: str
    samples: Iterable[tuple[dict[str, str], float | None]]
    """Labels and values; what is not known is left out."""

    is_counter: bool = False

    @property
    def unit(self) -> str:
        end = self.name.rpartition("_")[2]
        return end if end in ("bytes", "seconds") else ""


_COUNTED = {
    "hits": "Requests for a value that was there.",
    "stale": "Requests that got an expired value.",
    "misses": "Requests for which a value had to be computed.",
    "computations": "Values that were computed.",
    "waits": "Requests that waited for others to compute the value.",
    "errors": "Failures of the store or of a value.",
    "saved_seconds": "Time that values from the cache took to be computed.",
    "computation_seconds": "Time that all computations took.",
}
"""What is counted for each region."""


def metrics_text(report: Report) -> str:
    """Return a report as OpenMetrics text."""
    lines: list[str] = []
    for family in families(report):
        lines += _lines(family)
    return "\n".join([*lines, "# EOF", ""])


def families(report: Report) -> Iterator[Family]:
    """Yield all figures of a report."""
    yield Family(
        "beaker_store_up",
        "Whether a test record could be stored and loaded.",
        [({"store": check.name}, int(check.works)) for check in report.stores],
    )
    yield from _of_sessions(report.sessions)
    yield from _of_regions(report.regions)


def _of_sessions(count: Count | None) -> Iterator[Family]:
    """Yield how many sessions there are, unless there was not time for all.

    A part of them would look as if sessions had ended.
    """
    if count is None or count.survey is None or not count.is_complete:
        return
    found = count.survey
    for name, help, number in (
        ("beaker_sessions", "Stored sessions.", found.sessions),
        (
            "beaker_sessions_expired",
            "Stored sessions that have expired.",
            found.expired,
        ),
        (
            "beaker_sessions_size_bytes",
            "Size of all stored sessions.",
            found.bytes,
        ),
    ):
        yield Family(name, help, [({}, number)])


def _of_regions(regions: Iterable[Region]) -> Iterator[Family]:
    figures = {
        each.name: each.figures for each in regions if each.figures is not None
    }
    for name, help in _COUNTED.items():
        samples = _samples(figures, name)
        yield Family(f"beaker_cache_{name}", help, samples, is_counter=True)
    yield Family(
        "beaker_cache_entries",
        "Values in the store.",
        _samples(figures, "entries"),
    )
    yield Family(
        "beaker_cache_size_bytes",
        "Size of all values in the store.",
        _samples(figures, "bytes"),
    )


def _samples(
    figures: dict[str, Figures], name: str
) -> list[tuple[dict[str, str], float | None]]:
    return [
        ({"region": region}, getattr(each, name))
        for region, each in figures.items()
    ]


def _lines(family: Family) -> Iterator[str]:
    name = family.name
    yield f"# TYPE {name} {'counter' if family.is_counter else 'gauge'}"
    if family.unit:
        yield f"# UNIT {name} {family.unit}"
    yield f"# HELP {name} {family.help}"
    end = "_total" if family.is_counter else ""
    for labels, value in family.samples:
        if value is not None:
            yield f"{name}{end}{_labels(labels)} {value}"


def _labels(labels: dict[str, str]) -> str:
    pairs = ",".join(f'{key}="{_escaped(labels[key])}"' for key in labels)
    return f"{{{pairs}}}" if pairs else ""


def _escaped(text: str) -> str:
    """Return a text as it stands between quotes."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
