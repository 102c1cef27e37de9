"""The command collective-beaker: a shell over report and maintenance."""

import json
import os
import re
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import TypeVar

import click

from collective.beaker import wording
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.revoke import revoke as revoke_session
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.maintenance.survey import AGES
from collective.beaker.maintenance.survey import SIZES
from collective.beaker.maintenance.survey import Survey
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import Sweep
from collective.beaker.maintenance.sweep import sweep as sweep_sessions
from collective.beaker.report import DEFAULT
from collective.beaker.report import INHERITED
from collective.beaker.report import Health
from collective.beaker.report import Report
from collective.beaker.report import make_report
from collective.beaker.report import told
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.section import used_folders
from collective.beaker.settings.zope_conf import ZopeConf
from collective.beaker.settings.zope_conf import ZopeConfError
from collective.beaker.settings.zope_conf import read_zope_conf


WARNINGS = 1
"""The exit status of ``check --strict`` where there are warnings only."""

ERRORS = 2
"""The exit status of a command that could not do its work."""

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
_BAR = 40
"""The columns of the longest bar of a chart."""

_Result = TypeVar("_Result")


class Failure(click.ClickException):
    """Ends the command with a message."""

    exit_code = ERRORS


class Duration(click.ParamType):
    """A time such as 7d; it becomes seconds."""

    name = "duration"

    def convert(
        self,
        value: str | int,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch("([1-9][0-9]*)([smhdw])", value)
        if found is None:
            self.fail(
                f"{value!r} is no time. Write a number and a unit, which is "
                "s, m, h, d or w: 7d is seven days.",
                param,
                ctx,
            )
        return int(found[1]) * wording.SECONDS[found[2]]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="collective.beaker")
@click.option(
    "-c",
    "--config",
    "path",
    default="etc/zope.conf",
    show_default=True,
    metavar="PATH",
    help="The zope.conf of your Zope.",
)
@click.pass_context
def main(context: click.Context, path: str) -> None:
    """Look after Beaker's sessions and caches.

    Zope is not started, and its database is not opened. Run this as the user
    that Zope runs as, with Zope's Python, whether Zope serves or not.

    The exit status is 0, 1 for warnings of check --strict, or 2 for errors.
    """
    context.obj = path


@main.command()
@click.option("--strict", is_flag=True, help="Warnings count, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(path: str, strict: bool, as_json: bool) -> None:
    """Check the settings, and try out the stores.

    The settings are checked as they are when Zope starts. Then a record is
    stored, loaded, swapped and deleted in the store of the sessions and in
    that of each cache region. Secrets and passwords are not shown.
    """
    report = _report(path)
    verdict = report.verdict
    if as_json:
        data = {"zope_conf": path, "verdict": verdict, **report.as_dict()}
        click.echo(json.dumps(data, indent=2))
    else:
        _print_report(report)
    if verdict == "error":
        sys.exit(ERRORS)
    if verdict == "warning" and strict:
        sys.exit(WARNINGS)


@main.command()
@click.pass_obj
def sessions(path: str) -> None:
    """Count the stored sessions, by age and by size.

    Not all stores can list them: memcached cannot.
    """
    with _failing():
        options = _session_options(path)
        stored = StoredSessions(options)
        found = _watch(
            survey(options),
            stored,
            lambda survey: survey.sessions + survey.empty,
        )
    _print_survey(found, stored)


@main.command()
@click.option(
    "--idle",
    type=Duration(),
    metavar="TIME",
    help="Remove sessions that were not used for so long, such as 7d or 12h. "
    "session.timeout holds beside it, if it is set.",
)
@click.option("--dry-run", is_flag=True, help="Count, and remove nothing.")
@click.pass_obj
def sweep(path: str, idle: int | None, dry_run: bool) -> None:
    """Remove expired sessions, and what else nobody needs.

    These are sessions beyond session.timeout, session.absolute_timeout or
    --idle, records without a session, locks that nobody holds, and files
    that killed processes left. A session that is used meanwhile stays, and
    so does one that cannot be read.
    """
    with _failing():
        options = _session_options(path)
        stored = StoredSessions(options, idle)
        swept = _watch(
            sweep_sessions(options, idle, dry_run),
            stored,
            lambda swept: swept.looked_at,
        )
    _print_sweep(swept, dry_run)
    if not stored.ever_expire:
        click.echo(
            "No session expires: set session.timeout, or give --idle.",
            err=True,
        )


@main.command()
@click.argument("id", required=False)
@click.option("--all", "everyone", is_flag=True, help="End all sessions.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def revoke(path: str, id: str | None, everyone: bool, yes: bool) -> None:
    """End the session of an ID, or all sessions.

    Their visitors begin new ones.
    """
    if bool(id) == everyone:
        raise click.UsageError("Give either the ID of a session, or --all.")
    with _failing():
        options = _session_options(path)
        stored = StoredSessions(options)
        if not yes:
            which = "all sessions" if everyone else "this session"
            _confirm(f"End {which} in {_where(stored)}?")
        if everyone:
            number = _watch(revoke_all(options), stored, lambda number: number)
            click.echo(f"Ended {wording.number(number, 'session')}.")
        elif revoke_session(options, id or ""):
            click.echo("Ended the session.")
        else:
            raise Failure("There is no session with this ID.")


@main.command()
@click.argument("region")
@click.pass_obj
def clear(path: str, region: str) -> None:
    """Empty one cache REGION, and nothing else."""
    with _failing():
        configuration = _configuration(path)
        regions = (configuration.cache or {}).get("cache_regions", {})
        if regions.get(region, {}).get("type") == "memory":
            raise Failure(
                f"cache.{region}.type is 'memory': the values are in each "
                "process of Zope. Restart Zope to empty them."
            )
        number = clear_region(configuration, region)
    click.echo(f"Emptied {region}: {wording.number(number, 'piece')} removed.")
    if regions[region]["type"] == "ext:database":
        click.echo(
            "Zope keeps what it has loaded from ext:database. Restart it.",
            err=True,
        )


# What all commands need


def _zope_conf(path: str) -> ZopeConf:
    """Read zope.conf; raise Failure if it cannot be read."""
    try:
        found = read_zope_conf(path)
    except ZopeConfError as error:
        raise Failure(str(error)) from None
    os.environ.update(found.environment)
    return found


def _configuration(path: str) -> Configuration:
    """Return what a zope.conf configures; raise Failure for mistakes."""
    conf = _zope_conf(path)
    configuration = read_configuration(conf.section)
    if configuration.errors:
        raise Failure("\n".join(configuration.errors))
    _check_user(conf, configuration)
    return configuration


def _check_user(conf: ZopeConf, configuration: Configuration) -> None:
    """Raise Failure where files would belong to another user than Zope's."""
    if not hasattr(os, "geteuid"):
        return
    folders = used_folders(configuration)
    if os.geteuid() == 0:
        folders.append(conf.clienthome)
    for folder in map(Path, folders):
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise Failure(
                f"{folder} belongs to another user, {_owner(folder)}: Zope "
                "could not use what you make there. Run this as that user, "
                f"for example by sudo -u {_owner(folder)}."
            )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"#{path.stat().st_uid}"


def _session_options(path: str) -> Mapping[str, Any]:
    options = _configuration(path).session
    if options is None:
        raise Failure(
            f"{path} configures no sessions. Add a setting that begins with "
            "session. to <product-config beaker>."
        )
    if not options["type"] and not options["data_dir"]:
        options = {**options, "type": "memory"}
    if options["type"] == "memory":
        raise Failure(
            "session.type is 'memory': the sessions are in each process of "
            "Zope, where this command cannot look. Restart Zope to end them."
        )
    return options


@contextmanager
def _failing() -> Iterator[None]:
    """Turn what goes wrong in a store into a message."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        reason = told(error)
    else:
        return
    # Not while the error is handled: it may hold a password.
    raise Failure(reason)


def _confirm(question: str) -> None:
    """Ask; raise Failure if the answer is no, or there is nobody to ask."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Failure("Nothing was done.")


def _watch(
    results: Iterator[_Result],
    stored: StoredSessions,
    position: Callable[[_Result], int],
) -> _Result:
    """Return the last result; a terminal shows how far it is meanwhile."""
    if not sys.stderr.isatty():
        *_, result = results
        return result
    with click.progressbar(length=stored.estimate(), file=sys.stderr) as bar:
        for result in results:
            bar.update(position(result) - bar.pos)
    return result


# Check


def _report(path: str) -> Report:
    try:
        conf = _zope_conf(path)
        _check_user(conf, read_configuration(conf.section))
    except Failure as failure:
        return Report(errors=[failure.message])
    return make_report(conf.section)


def _print_report(report: Report) -> None:
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


# Words and charts


def _where(stored: StoredSessions) -> str:
    return f"{stored.store.kind} ({stored.store.address})"


def _print_survey(found: Survey, stored: StoredSessions) -> None:
    average = found.bytes / found.sessions if found.sessions else 0
    click.echo(f"Store       {_where(stored)}")
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


def _print_sweep(swept: Sweep, dry_run: bool) -> None:
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
