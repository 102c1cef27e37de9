"""The command as a subcommand of bin/instance.

It is registered in the entry point group plone.recipe.zope2instance.ctl.
"""

import shlex
from typing import Any


def beaker(control: Any, line: str = "") -> None:
    """Check the settings of Beaker, and maintain sessions and caches.

    For more, see bin/instance beaker --help.
    """
    # Imported late, since every run of bin/instance imports this module.
    from collective.beaker.cli import main

    options = control.options
    # Only a line that was typed at a prompt still has its quotes.
    arguments = options.args[1:] if options.args else shlex.split(line)
    main(
        arguments,
        prog_name="bin/instance beaker",
        default_map={"path": options.configfile},
    )
