"""Failures, durations, questions and progress, as the commands need them."""

import re
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import TypeVar

import click

from collective.beaker import wording
from collective.beaker.maintenance.stored import CannotMaintain
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.maintenance.users import named_user
from collective.beaker.report.stores import describe_error


_Result = TypeVar("_Result")

ERRORS = 2
"""The exit status of a command that failed."""


class Failure(click.ClickException):
    """Ends the command with a message."""

    exit_code = ERRORS


def escape_unknown_characters() -> None:
    """Print an escape for a character that the terminal cannot show."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


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
        found = re.fullmatch("([1-9][0-9]{0,9})([smhdw])", value)
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
        try:
            return named_user(value)
        except CannotMaintain as error:
            self.fail(str(error), param, ctx)


@contextmanager
def errors_as_failures() -> Iterator[None]:
    """Turn an error of a store into a Failure, which is shown as a message."""
    try:
        yield
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except BrokenPipeError:
        # Nobody reads the output any more, as with "| head": click ends.
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
    except (click.Abort, RuntimeError):
        # Python raises RuntimeError if there is no input at all.
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Failure(
            "Nothing was done. Answer y, or give --yes to not be asked."
        )


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
