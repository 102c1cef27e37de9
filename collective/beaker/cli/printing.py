"""What the commands print."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import click

from collective.beaker import wording
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.maintenance.survey import AGES
from collective.beaker.maintenance.survey import SIZES
from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.report import DEFAULT
from collective.beaker.report import INHERITED
from collective.beaker.report import Health
from collective.beaker.report import Report


_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}

_BAR = 40
"""The columns of the longest bar of a chart."""


def print_report(report: Report) -> None:
    for name, text in _lines(report):
        verdict = click.style(f"{name:8}", fg=_COLOURS[name])
        click.echo(f"{verdict} {text}")


def _lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield verdicts, each with what it is about."""
    messages = report.errors + report.warnings
    for setting in report.settings:
        told = any(text.startswith(f"{setting.name} ") for text in messages)
        if not told and setting.source not in (DEFAULT, INHERITED):
            yield "ok", f"{setting.name} is {_quoted(setting.value)}."
    for message in report.errors:
        yield "error", message
    for message in report.warnings:
        yield "warning", message
    for health in report.stores:
        yield "ok" if health.is_well else "error", _fares(health)


def _quoted(value: Any) -> str:
    shown = wording.value(value)
    return repr(shown) if isinstance(value, str | list) else shown


def _fares(health: Health) -> str:
    if health.error:
        return f"{health.name}: {health.error}"
    times = ", ".join(
        f"{step} {seconds * 1000:.2f} ms"
        for step, seconds in health.seconds.items()
    )
    return f"{health.name}: {health.type} ({health.address}) works: {times}."


def where(stored: StoredSessions) -> str:
    return f"{stored.store.kind} ({stored.store.address})"


def print_survey(found: Survey, stored: StoredSessions) -> None:
    average = found.bytes / found.sessions if found.sessions else 0
    click.echo(f"Store       {where(stored)}")
    click.echo(f"Sessions    {found.sessions:,}")
    click.echo(f"Expired     {found.expired:,}")
    click.echo(f"Unreadable  {found.unreadable:,}")
    click.echo(f"Empty       {wording.number(found.empty, 'record')}")
    size = wording.size
    click.echo(
        f"Size        {size(found.bytes)}, {size(average)} on average, "
        f"{size(found.largest)} at most"
    )
    click.echo(f"Oldest      {wording.duration(found.oldest)}")
    if found.sessions:
        ages = wording.ranges(AGES, wording.duration)
        _print_chart("Not used for", ages, found.idle)
        _print_chart("Age", ages, found.age)
        sizes = wording.ranges(SIZES, wording.size)
        _print_chart("Size", sizes, found.size)


def _print_chart(
    title: str, labels: Sequence[str], numbers: Sequence[int]
) -> None:
    click.echo(f"\n{title}")
    longest = max(1, *numbers)
    for label, number in zip(labels, numbers, strict=True):
        bar = "#" * -(-number * _BAR // longest)
        click.echo(f"  {label:20} {number:>9,}  {bar}".rstrip())


def print_sweep(swept: Sweep, dry_run: bool) -> None:
    verb = "Would remove" if dry_run else "Removed"
    click.echo(wording.removed(swept, verb))
    verb = "Would keep" if dry_run else "Kept"
    click.echo(wording.kept(swept, verb))
    if swept.unreadable:
        click.echo(
            "Unreadable are sessions with a key or a class that is not known "
            "here, or with damaged data. revoke --all ends them, too.",
            err=True,
        )
