"""The commands: click's shell around report and maintenance."""

import json
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial

import click

from collective.beaker import wording
from collective.beaker.cli.configuration import check_site
from collective.beaker.cli.configuration import check_user
from collective.beaker.cli.configuration import read_session_options
from collective.beaker.cli.configuration import read_valid_configuration
from collective.beaker.cli.configuration import read_valid_zope_conf
from collective.beaker.cli.console import ERRORS
from collective.beaker.cli.console import Duration
from collective.beaker.cli.console import Failure
from collective.beaker.cli.console import UserPath
from collective.beaker.cli.console import confirm
from collective.beaker.cli.console import errors_as_failures
from collective.beaker.cli.console import escape_unknown_characters
from collective.beaker.cli.console import show_progress
from collective.beaker.cli.database import read_sites_of
from collective.beaker.cli.printing import describe_store
from collective.beaker.cli.printing import print_report
from collective.beaker.cli.printing import print_survey
from collective.beaker.cli.printing import print_sweep
from collective.beaker.cli.printing import print_user_sessions
from collective.beaker.maintenance.caches import clear_region
from collective.beaker.maintenance.caches import regions_to_sweep
from collective.beaker.maintenance.caches import sweep_values
from collective.beaker.maintenance.revoke import find_id
from collective.beaker.maintenance.revoke import is_stored
from collective.beaker.maintenance.revoke import revoke as revoke_session
from collective.beaker.maintenance.revoke import revoke_all
from collective.beaker.maintenance.sites import of_zope_conf
from collective.beaker.maintenance.sites import place_warnings
from collective.beaker.maintenance.stored import Options
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.survey import survey
from collective.beaker.maintenance.sweep import sweep as sweep_sessions
from collective.beaker.maintenance.users import count_sessions_of_user
from collective.beaker.maintenance.users import end_sessions_of_user
from collective.beaker.maintenance.users import list_sessions_of_user
from collective.beaker.report import make_report
from collective.beaker.report import report_site
from collective.beaker.report.parts import Report
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration


WARNINGS = 1
"""The exit status of ``check --strict`` if there are only warnings."""


_version_option = click.version_option(package_name="collective.beaker")


def _set_path(
    context: click.Context, _parameter: click.Parameter, path: str | None
) -> None:
    """Use the zope.conf that is named behind a subcommand."""
    if path is not None:
        context.obj = path


_config_option = click.option(
    "-c",
    "--config",
    metavar="PATH",
    callback=_set_path,
    expose_value=False,
    help="The zope.conf of your Zope.",
)


def _subcommand(function: Callable[..., None]) -> click.Command:
    """Make a subcommand, which accepts the options of the group, too."""
    with_options = _config_option(_version_option(function))
    return main.command()(click.pass_obj(with_options))


_zope_option = click.option(
    "--zope",
    is_flag=True,
    help="Also do this for what sites configure for themselves. Zope's "
    "database is opened read-only for that.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@_version_option
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
    """Check and maintain Beaker's sessions and caches.

    This does not start Zope, and works whether Zope is running or not. Run it
    as the user that Zope runs as, with Zope's Python.

    The exit status is 0, 1 for warnings of check --strict, or 2 for errors.
    """
    escape_unknown_characters()
    context.obj = path


@_subcommand
@_zope_option
@click.option(
    "--strict", is_flag=True, help="Exit with status 1 for warnings."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(path: str, zope: bool, strict: bool, as_json: bool) -> None:
    """Check the settings and the stores.

    The settings are checked as they are when Zope starts. Then a test record
    is stored, loaded, swapped and deleted in the store of the sessions and in
    the store of each cache region. Secrets and passwords are not shown.

    Whether Zope loads the ZCML of this package cannot be checked here: see
    whether Zope has the page @@beaker.
    """
    report = _make_report(path, zope)
    verdict = report.verdict
    if as_json:
        data = {"zope_conf": path, "verdict": verdict, **report.as_dict()}
        click.echo(json.dumps(data, indent=2))
    else:
        print_report(report)
    if verdict == "error":
        sys.exit(ERRORS)
    if verdict == "warning" and strict:
        sys.exit(WARNINGS)


_of_user = click.option(
    "--user",
    metavar="PATH",
    type=UserPath(),
    help="Only those of one user: the path of the user folder, and the user's "
    "ID, such as /acl_users/admin or /Plone/acl_users/erika.",
)


@_subcommand
@_zope_option
@_of_user
def sessions(path: str, zope: bool, user: str | None) -> None:
    """Count the stored sessions, or list those of one user.

    They are counted by age and by size. Some stores, such as memcached, cannot
    list their sessions.
    """
    _for_each_place(path, zope, partial(_count, user=user))


def _count(options: Options, user: str | None) -> None:
    if user is not None:
        print_user_sessions(list_sessions_of_user(options, user, True))
        return
    inspector = SessionInspector(options)
    found = show_progress(
        survey(options),
        inspector,
        lambda found: found.sessions + found.empty,
    )
    print_survey(found, inspector.store)


@_subcommand
@_zope_option
@click.option(
    "--idle",
    type=Duration(),
    metavar="TIME",
    help="Also remove sessions that have not been used for this long, such as "
    "7d or 12h. If session.timeout is set, it still applies.",
)
@click.option(
    "--dry-run", is_flag=True, help="Count, but do not remove anything."
)
def sweep(path: str, zope: bool, idle: int | None, dry_run: bool) -> None:
    """Remove expired sessions and unneeded records.

    This removes sessions beyond session.timeout, session.absolute_timeout or
    --idle, records without a session, locks that are not held, and files that
    killed processes left behind. A session that is used in the meantime is
    kept, and so is one that cannot be read.

    Before that, values of caches that have expired are removed, in stores
    that do not forget them by themselves.
    """
    with errors_as_failures():
        configuration = read_valid_configuration(path)
        has_values = any(regions_to_sweep(configuration))
    failures = _sweep_values(configuration, dry_run) if has_values else []
    if configuration.session is not None or zope or not has_values:
        work = partial(_sweep, idle=idle, dry_run=dry_run)
        _for_each_place(path, zope, work, failures)
    elif failures:
        raise Failure("\n".join(failures))


def _sweep_values(configuration: Configuration, dry_run: bool) -> list[str]:
    """Sweep the values of caches; return what went wrong."""
    values, failures = 0, []
    try:
        with errors_as_failures():
            for number in sweep_values(configuration, dry_run):
                values = number
    except Failure as failure:
        failures.append(failure.message)
    verb = "Would remove" if dry_run else "Removed"
    removed = wording.number(values, "expired value")
    click.echo(f"{verb} {removed} of caches.")
    return failures


def _sweep(options: Options, idle: int | None, dry_run: bool) -> None:
    inspector = SessionInspector(options, idle)
    swept = show_progress(
        sweep_sessions(options, idle, dry_run),
        inspector,
        lambda swept: swept.looked_at,
    )
    print_sweep(swept, dry_run)
    if not inspector.any_can_expire:
        click.echo(
            "No session expires: set session.timeout, or give --idle.",
            err=True,
        )


@_subcommand
@_zope_option
@click.argument("id", required=False)
@click.option("--all", "everyone", is_flag=True, help="End all sessions.")
@_of_user
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def revoke(
    path: str,
    zope: bool,
    id: str | None,
    everyone: bool,
    user: str | None,
    yes: bool,
) -> None:
    """End the session with this ID, those of a user, or all sessions.

    The value of the visitor's cookie works in place of the ID. The visitors
    get new sessions.
    """
    if sum(map(bool, (id, everyone, user))) != 1:
        raise click.UsageError(
            "Give either the ID of a session, or --user, or --all."
        )
    if user is not None:
        _for_each_place(path, zope, partial(_revoke_user, user=user, yes=yes))
        return
    if everyone:
        _for_each_place(path, zope, partial(_revoke_all, yes=yes))
        return
    with errors_as_failures():
        _revoke_id(path, zope, find_id(id or ""), yes)


def _revoke_all(options: Options, yes: bool) -> None:
    inspector = SessionInspector(options)
    # This fails if the store is down, or cannot list its sessions.
    next(inspector.walk_all(), None)
    if not yes:
        confirm(f"End all sessions in {describe_store(inspector.store)}?")
    number = show_progress(
        revoke_all(options),
        inspector,
        lambda number: number,
    )
    click.echo(f"Ended {wording.number(number, 'session')}.")


def _revoke_id(path: str, zope: bool, id: str, yes: bool) -> None:
    all_options, failures = read_session_options(path, zope)
    for owned in all_options:
        with _failing_late(owned.owner, zope, failures):
            if _is_revoked(owned.options, id, yes):
                click.echo("Ended the session.")
                return
    not_found = [wording.NO_SESSION] if zope else [wording.NOT_FOUND_HERE]
    raise Failure("\n".join(failures or not_found))


def _is_revoked(options: Options, id: str, yes: bool) -> bool:
    """End a session, if it is in this place; tell whether it was."""
    if not yes:
        if not is_stored(options, id):
            return False
        store = describe_store(SessionInspector(options).store)
        confirm(f"End this session in {store}?")
    return revoke_session(options, id)


def _revoke_user(options: Options, user: str, yes: bool) -> None:
    inspector = SessionInspector(options)
    if not yes:
        number = count_sessions_of_user(options, user)
        if not number:
            raise Failure(wording.NO_SESSION_OF_USER)
        what = wording.number(number, "session")
        confirm(f"End {what} in {describe_store(inspector.store)}?")
    number = show_progress(
        end_sessions_of_user(options, user, search_all=True),
        inspector,
        lambda number: number,
    )
    click.echo(wording.ended_of_user(number))


def _for_each_place(
    path: str,
    zope: bool,
    work: Callable[[Options], None],
    earlier: Sequence[str] = (),
) -> None:
    """Work on the sessions of each place, also if that fails for some.

    Raises Failure if it failed for any, with what failed ``earlier``.
    """
    with errors_as_failures():
        all_options, wrong = read_session_options(path, zope)
    failures = [*earlier, *wrong]
    for owner, options in all_options:
        if zope:
            click.echo(f"{owner}:")
        with _failing_late(owner, zope, failures):
            work(options)
    if failures:
        raise Failure("\n".join(failures))


@contextmanager
def _failing_late(
    owner: str, zope: bool, failures: list[str]
) -> Iterator[None]:
    """Go on to the next place where one fails; add to what has failed."""
    try:
        with errors_as_failures():
            yield
    except Failure as failure:
        failures.append(
            f"{owner}: {failure.message}" if zope else failure.message
        )


@_subcommand
@click.argument("region")
def clear(path: str, region: str) -> None:
    """Empty one cache REGION and nothing else."""
    with errors_as_failures():
        configuration = read_valid_configuration(path)
        options = configuration.regions.get(region)
        if options is not None and backend_of(options).per_process:
            raise Failure(
                f"cache.{region}.type is {options['type']!r}: the values are "
                "in each process of Zope. "
                f"{backend_of(options).region_remedy.format(region=region)}"
            )
        number = clear_region(configuration, region)
    click.echo(wording.emptied(region, number))


def _make_report(path: str, zope: bool) -> Report:
    try:
        conf = read_valid_zope_conf(path)
        configuration = read_configuration(conf.section)
        check_user(conf, configuration)
    except Failure as failure:
        return Report(errors=[failure.message])
    report = make_report(conf.section)
    if not zope:
        return report
    try:
        sites = read_sites_of(path, conf)
    except Failure as failure:
        report.errors.append(failure.message)
        return report
    report.warnings += sites.problems
    read = None if configuration.errors else configuration.session
    usable = of_zope_conf(read)
    for site in sites.found:
        found = check_site(conf, site.options, configuration.has_zope_session)
        report.sites.append(report_site(site.owner, site.options, found))
        if not found.errors:
            usable.append(site)
    report.warnings += place_warnings(usable)
    return report
