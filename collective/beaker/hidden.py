"""Values that a dump or a log, which shows their repr(), does not show."""


class HiddenText(str):
    """A text, such as an id or a cookie."""

    def __repr__(self) -> str:
        return "'(hidden)'"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # Who keeps it keeps a text.
        return str, (self[:],)


class HiddenBytes(bytes):
    """Stored data."""

    def __repr__(self) -> str:
        return "b'(hidden)'"
