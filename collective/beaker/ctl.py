"""The command as a subcommand of bin/instance.

See the entry-point group plone.recipe.zope2instance.ctl.
"""

import shlex
from typing import Any


def beaker(control: Any, line: str = "") -> None:
    """Check the settings of Beaker, and look after sessions and caches.

    bin/instance beaker --help says more.
    """
    # Each call of bin/instance imports this module.
    from collective.beaker.cli import main

    options = control.options
    # The line has lost its quotes, unless it was typed at a prompt.
    arguments = options.args[1:] if options.args else shlex.split(line)
    main(
        arguments,
        prog_name="bin/instance beaker",
        default_map={"path": options.configfile},
    )
