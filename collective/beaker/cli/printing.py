"""Print reports, surveys and sweeps."""

from collections.abc import Iterator
from collections.abc import Sequence

import click

from collective.beaker import wording
from collective.beaker.maintenance.survey import AGES
from collective.beaker.maintenance.survey import SIZES
from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.users import UserSession
from collective.beaker.report.parts import DEFAULT
from collective.beaker.report.parts import INHERITED
from collective.beaker.report.parts import Report
from collective.beaker.report.parts import SiteReport
from collective.beaker.report.parts import StoreCheck
from collective.beaker.settings.links import with_link
from collective.beaker.stores import Store


_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
"""The colours of the verdicts."""

_BAR = 40
"""The length of the longest bar of a chart, in columns."""


_NOT_CHECKED = (
    "Whether Zope loads the ZCML cannot be seen from here: open @@beaker in "
    "Zope. If it is not found, include the package collective.beaker."
)
"""What the command does not know, since it does not start Zope."""


def print_report(report: Report) -> None:
    for name, text in _report_lines(report):
        verdict = click.style(f"{name:8}", fg=_COLOURS[name])
        click.echo(f"{verdict} {text}")
    click.echo(f"{'note':8} {_NOT_CHECKED}")


def _report_lines(report: Report) -> Iterator[tuple[str, str]]:
    """Yield pairs of a verdict and a text."""
    yield from _lines_of_part(report)
    for site in report.sites:
        for verdict, text in _lines_of_part(site):
            yield verdict, f"{site.path}: {text}"


def _lines_of_part(report: Report | SiteReport) -> Iterator[tuple[str, str]]:
    messages = report.errors + report.warnings
    for setting in report.settings:
        has_message = any(
            text.startswith(f"{setting.name} ") for text in messages
        )
        if not has_message and setting.source not in (DEFAULT, INHERITED):
            yield "ok", f"{setting.name} is {_quote(setting.value)}."
    for message in report.errors:
        yield "error", with_link(message)
    for message in report.warnings:
        yield "warning", with_link(message)
    for store in report.stores:
        yield "ok" if store.works else "error", _describe_check(store)


def _quote(value: object) -> str:
    shown = wording.value(value)
    return repr(shown) if isinstance(value, str | list) else shown


def _describe_check(check: StoreCheck) -> str:
    if check.error:
        return f"{check.name} failed: {check.error}"
    seconds = sum(check.seconds.values())
    return (
        f"{check.name}: {check.type} ({check.address}) works, with a round "
        f"trip of {wording.milliseconds(seconds)}."
    )


def describe_store(store: Store) -> str:
    return f"{store.kind} ({store.address})"


def print_survey(found: Survey, store: Store) -> None:
    for name, text in [
        ("Store", describe_store(store)),
        *wording.facts(found),
    ]:
        click.echo(f"{name:15}{text}")
    _name_problems(found.problems)
    if found.sessions:
        ages = wording.ranges(AGES, wording.duration)
        _print_chart("Not used for", ages, found.idle)
        _print_chart("Age", ages, found.age)
        sizes = wording.ranges(SIZES, wording.size)
        _print_chart("Size", sizes, found.size)


def _print_chart(
    title: str, labels: Sequence[str], numbers: Sequence[int]
) -> None:
    if not any(numbers):
        return
    click.echo(f"\n{title}")
    longest = max(1, *numbers)
    for label, number in zip(labels, numbers, strict=True):
        if not number:
            continue
        bar = "#" * -(-number * _BAR // longest)
        click.echo(f"  {label:20} {number:>9,}  {bar}".rstrip())


def print_user_sessions(sessions: Sequence[UserSession]) -> None:
    if not sessions:
        click.echo(wording.NO_SESSION_OF_USER)
        return
    click.echo(f"The user has {wording.number(len(sessions), 'session')}:")
    for session in sessions:
        click.echo(f"  {wording.user_session(session)}")


def print_sweep(swept: Sweep, dry_run: bool) -> None:
    verb = "Would remove" if dry_run else "Removed"
    click.echo(wording.removed(swept, verb))
    verb = "Would keep" if dry_run else "Kept"
    click.echo(wording.kept(swept, verb))
    if swept.unreadable:
        click.echo(
            "A session is unreadable if its key or a class is unknown here, "
            "if its data is damaged, or if Python 2 wrote it. revoke --all "
            "ends such sessions, too.",
            err=True,
        )
    _name_problems(swept.problems)


def _name_problems(problems: Sequence[str]) -> None:
    """Name sessions that cannot be read by the first digits of their ids."""
    for problem in problems:
        click.echo(f"Unreadable: {problem}", err=True)
