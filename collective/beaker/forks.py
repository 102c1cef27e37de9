"""What must not be shared with a parent process is renewed after a fork."""

import os
from collections.abc import Callable


def in_forked_child(renew: Callable[[], None]) -> Callable[[], None]:
    """Call a function in each forked child; this is a decorator.

    Where processes do not fork, it is never called.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return renew
