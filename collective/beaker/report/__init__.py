"""What is configured and how it works: the data of page, JSON and command.

It is plain data without secrets.  Its parts are made by the modules here.
"""

from collections.abc import Mapping
from typing import Any

from collective.beaker.maintenance.stored import Options
from collective.beaker.report.parts import Report
from collective.beaker.report.parts import SiteReport
from collective.beaker.report.regions import add_figures
from collective.beaker.report.regions import regions_of
from collective.beaker.report.sessions import count_unless_failed
from collective.beaker.report.settings import settings_of
from collective.beaker.report.stores import check_stores
from collective.beaker.report.versions import versions
from collective.beaker.settings.backends import backend_of
from collective.beaker.settings.folders import folder_warnings
from collective.beaker.settings.folders import make_folders
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import check_session_options
from collective.beaker.settings.section import read_configuration


def make_report(
    section: Mapping[str, Any] | None,
    in_force: Options | None = None,
    local: bool = False,
    count_seconds: float | None = None,
) -> Report:
    """Return a report of a beaker section and of the stores that it names.

    ``in_force`` are the session options that ``ISessionConfig`` provides; by
    default, those of the section.  ``local`` says that they come from a site,
    so that nothing has checked them.
    ``count_seconds`` limits the time for counting the stored sessions, and
    that for counting the values of caches.  By default they are not counted,
    and there are no figures of what this process has done.

    Configured folders are created, as at start-up, and each store is checked.
    """
    configuration = read_configuration(section)
    of_site = Configuration()
    if local and in_force is not None:
        of_site = check_session_options(
            in_force, configuration.has_zope_session
        )
    report = Report(
        settings=list(settings_of(section, configuration, in_force, local)),
        errors=configuration.errors
        + make_folders(configuration)
        + of_site.errors,
        warnings=configuration.warnings
        + folder_warnings(configuration)
        + of_site.warnings
        + folder_warnings(of_site),
        regions=list(regions_of(configuration)),
        versions=versions(),
    )
    if section is None:
        report.warnings.append(
            "There is no <product-config beaker> in zope.conf, so there are "
            "no sessions and no caches. Add one."
        )
    # Without its folder a store fails, which is what monitoring looks for.
    if configuration.errors or of_site.errors:
        return report
    session = configuration.session if in_force is None else in_force
    report.stores += check_stores(session, configuration.caches)
    if count_seconds is None:
        return report
    add_figures(report, configuration, count_seconds)
    if session is not None:
        report.sessions = count_unless_failed(
            session, report.stores, count_seconds
        )
    return report


def report_site(
    path: str, options: Options, found: Configuration
) -> SiteReport:
    """Return a report of the session options of a site, and of their store.

    ``found`` is what a check of these options has found.  If it has errors,
    the store is not used.
    """
    report = SiteReport(
        path=path,
        settings=list(settings_of(None, found, options, local=True)),
        errors=found.errors,
        warnings=found.warnings + folder_warnings(found),
        stores=[],
    )
    if not found.errors and not backend_of(options).per_process:
        report.stores += check_stores(options, {})
    return report
