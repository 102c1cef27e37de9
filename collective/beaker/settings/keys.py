"""How well keys can be guessed."""

import math
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from collective.beaker.settings.readers import former_keys


SHORT_KEY = 16
"""The number of characters below which a key causes a warning."""

_FEWEST_BITS = 32
"""The estimate below which a key of any length causes a warning.  It is some
50 for 16 random digits of any base from 16 upwards."""

EXAMPLE_KEY = "replace-this-by"
"""What the keys in the documentation begin with, which anyone can read."""


def might_be_guessed(key: str) -> bool:
    """Tell whether anyone who tries long enough might find a key."""
    return (
        len(key) < SHORT_KEY
        or _estimated_bits(key) < _FEWEST_BITS
        or key.startswith(EXAMPLE_KEY)
    )


def key_warnings(
    setting: str, options: Mapping[str, Any], option: str, end: str
) -> Iterator[str]:
    """Warn of a key that might be guessed; ``end`` says what a change does."""
    key = options[option]
    if isinstance(key, str) and len(key) < SHORT_KEY:
        yield (
            f"{setting} has {len(key)} characters and might be "
            f"guessed. Use {SHORT_KEY} or more, at random; {end}."
        )
    elif isinstance(key, str) and _estimated_bits(key) < _FEWEST_BITS:
        yield (
            f"{setting} has {len(key)} characters, but few different "
            f"ones, and might be guessed. Use {SHORT_KEY} or more, at random; "
            f"{end}."
        )
    elif isinstance(key, str) and key.startswith(EXAMPLE_KEY):
        yield (
            f"{setting} is that of an example, which anyone can "
            f"know. Use a long random text of your own; {end}."
        )


def former_key_warnings(
    setting: str, options: Mapping[str, Any], option: str
) -> Iterator[str]:
    """Warn of former keys that might be guessed, as long as they hold."""
    keys = former_keys(options[option])
    shortest = min(map(len, keys), default=SHORT_KEY)
    if shortest < SHORT_KEY:
        yield (
            f"{setting} has a key of {shortest} characters, which "
            "might be guessed. Remove it soon. (Blanks separate keys.)"
        )
    elif any(_estimated_bits(key) < _FEWEST_BITS for key in keys):
        yield (
            f"{setting} has a key of few different characters, which "
            "might be guessed. Remove it soon."
        )


def _estimated_bits(key: str) -> float:
    """Estimate how many bits of a key are random.

    It is the entropy of its characters, and of what is repeated once only.
    For a sentence or a name this is far too much: it cannot be known.
    """
    repeated = key[: (key + key).find(key, 1)]
    length = len(repeated)
    return sum(
        number * math.log2(length / number)
        for number in Counter(repeated).values()
    )
