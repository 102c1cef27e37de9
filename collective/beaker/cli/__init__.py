"""The command collective-beaker."""

from collective.beaker.cli.commands import main


__all__ = ["main"]
