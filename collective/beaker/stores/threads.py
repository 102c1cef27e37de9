"""Threads that run beside the requests, and for which there may be no room."""

from collections.abc import Callable
from threading import Thread


def start_thread(name: str, work: Callable[[], None]) -> str:
    """Start a thread that ends with its process.

    Returns why there is no room for it, or "" if it runs.
    """
    name = f"collective.beaker {name}"
    try:
        Thread(target=work, name=name, daemon=True).start()
    except RuntimeError as error:
        return str(error) or type(error).__name__
    return ""
