"""Values that are hidden in dumps and logs, which show their repr()."""


class HiddenText(str):
    """A text that is hidden in dumps and logs, such as an id or a cookie."""

    def __repr__(self) -> str:
        return "'(hidden)'"

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # A pickle holds plain text.
        return str, (self[:],)


class HiddenBytes(bytes):
    """Stored data that is hidden in dumps and logs."""

    def __repr__(self) -> str:
        return "b'(hidden)'"
