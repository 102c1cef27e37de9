"""Failures, durations, questions and progress, as the commands need them."""

import re
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from collective.beaker import wording
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.report import describe_error
from collective.beaker.session.owners import name_of_path


_Result = TypeVar("_Result")

_USER_FOLDER = "/acl_users"
"""The name that every user folder has, in a path."""

ERRORS = 2
"""The exit status of a command that failed."""


class Failure(click.ClickException):
    """Ends the command with a message."""

    exit_code = ERRORS


class Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as 7d, converted to seconds."""

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
                f"{value!r} is not a time. Write a number and a unit, which "
                "is s, m, h, d or w: 7d is seven days.",
                param,
                ctx,
            )
        return int(found[1]) * wording.SECONDS[found[2]]


class UserPath(click.ParamType):  # type: ignore[type-arg]
    """A user folder and a user, converted to what tells users apart."""

    name = "user"

    def convert(
        self,
        value: str,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        # The id may have slashes, too, such as the address of an OpenID.
        site, found, id = value.partition(f"{_USER_FOLDER}/")
        if not (found and id and site[:1] in ("", "/")):
            self.fail(
                f"{value!r} is not the path of a user. Write the path of the "
                "user folder, and the user's ID: /Plone/acl_users/erika.",
                param,
                ctx,
            )
        return name_of_path(site + _USER_FOLDER, id)


@contextmanager
def errors_as_failures() -> Iterator[None]:
    """Turn an error of a store into a Failure, which is shown as a message."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        reason = describe_error(error)
    else:
        return
    # Outside the handler: as a context, the error might show a password.
    raise Failure(reason)


def confirm(question: str) -> None:
    """Ask; raise Failure if the answer is no or the input is closed."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Failure("Nothing was done.")


def show_progress(
    results: Iterator[_Result],
    inspector: SessionInspector,
    position: Callable[[_Result], int],
) -> _Result:
    """Return the last result; meanwhile, show the progress on a terminal.

    ``position`` returns how many of the inspector's records a result covers.
    """
    if not sys.stderr.isatty():
        *_, result = results
        return result
    length = inspector.estimate()
    with click.progressbar(length=length, file=sys.stderr) as bar:
        for result in results:
            bar.update(position(result) - bar.pos)
    return result
