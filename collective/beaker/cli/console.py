"""What commands share: failures, times, questions and progress."""

import re
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import click

from collective.beaker import wording
from collective.beaker.maintenance.stored import StoredSessions
from collective.beaker.report import told


ERRORS = 2
"""The exit status of a command that could not do its work."""


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


_Result = TypeVar("_Result")


@contextmanager
def failing() -> Iterator[None]:
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


def confirm(question: str) -> None:
    """Ask; raise Failure if the answer is no, or there is nobody to ask."""
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Failure("Nothing was done.")


def watch(
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
