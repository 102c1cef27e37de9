"""How the text of a setting is read, apart from what test_section reads."""

import pytest

from collective.beaker.settings.readers import former_keys


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("old", ["old"]),
        (" old  older\toldest ", ["old", "older", "oldest"]),
        (["an old key", "older"], ["an old key", "older"]),
        (("old",), ["old"]),
        (None, []),
    ],
)
def test_former_keys_are_text_or_a_list(value, keys):
    """Text that counted as a list would make each letter a key."""
    assert former_keys(value) == keys
