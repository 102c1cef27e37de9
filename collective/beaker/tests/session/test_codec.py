"""Between the data of a session and the text that is stored of it."""

from pickle import UnpicklingError

import pytest

from collective.beaker.session.codec import StrictPickle
from collective.beaker.tests.helpers.sessions import open_stored


@pytest.mark.parametrize(
    ("serializer", "value", "kind"),
    [
        ("pickle", lambda: None, "function"),
        ("json", {1}, "set"),
        ("json", b"", "bytes"),
    ],
)
def test_what_cannot_be_stored_is_named_by_its_type(serializer, value, kind):
    session = open_stored(data_serializer=serializer)
    session["secret name"] = value

    with pytest.raises(TypeError, match=f"of the type {kind}") as raised:
        session.save()
    assert serializer in str(raised.value)
    assert "secret name" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


def test_a_serializer_of_ones_own_is_named_by_its_class():
    class Picky:
        def loads(self, data):
            raise AssertionError("Nothing was stored.")

        def dumps(self, data):
            raise ValueError("It takes nothing.")

    session = open_stored(data_serializer=Picky())

    with pytest.raises(TypeError, match="data_serializer Picky"):
        session.save()


def test_garbage_is_no_pickle():
    with pytest.raises(UnpicklingError):
        StrictPickle().loads(b"garbage.")
    with pytest.raises(UnpicklingError):
        StrictPickle().loads(b"\x80garbage")


def test_what_cannot_be_stored_as_a_whole_is_named_as_such():
    class Small:
        def loads(self, data):
            raise AssertionError("Nothing was stored.")

        def dumps(self, data):
            if len(data) > 1:
                raise ValueError("It takes one key only.")
            return b"small"

    session = open_stored(data_serializer=Small())

    with pytest.raises(TypeError, match="A session holds values, which"):
        session.save()
