"""What is translated is complete, and compiled."""

from gettext import GNUTranslations
from pathlib import Path

import pytest


pofile = pytest.importorskip("babel.messages.pofile")

LOCALES = Path(__file__).parents[2] / "locales"
TRANSLATIONS = sorted(LOCALES.rglob("*.po"))


def texts(path):
    """Return the translations in a file; fuzzy ones have none."""
    with path.open("rb") as file:
        catalog = pofile.read_po(file)
    return {
        message.id: "" if message.fuzzy else message.string
        for message in catalog
        if message.id
    }


@pytest.mark.parametrize(
    "path", TRANSLATIONS, ids=[path.parts[-3] for path in TRANSLATIONS]
)
def test_each_text_is_translated_and_compiled(path):
    translated = texts(path)
    with path.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)

    assert translated.keys() == texts(LOCALES / f"{path.stem}.pot").keys()
    assert all(translated.values())
    assert {id: compiled.gettext(id) for id in translated} == translated
