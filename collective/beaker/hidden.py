"""Values that are hidden in dumps and logs, which show their repr()."""


class HiddenText(str):
    """A text that is hidden in dumps and logs, such as an id."""

    def __repr__(self) -> str:
        return "'(hidden)'"


class HiddenBytes(bytes):
    """Stored data that is hidden in dumps and logs."""

    def __repr__(self) -> str:
        return "b'(hidden)'"
