"""Sessions whose class another package provides."""

from pickle import UnpicklingError

import beaker.session
import pytest

from collective.beaker.settings.options import OWN_OPTIONS


class OtherSession(beaker.session.Session):
    """A class of another package, which knows Beaker's options only."""

    def __init__(self, request, **options):
        assert not options.keys() & OWN_OPTIONS
        super().__init__(request, **options)


@pytest.fixture
def other_class(config, tmp_path):
    config.update(
        session_class=OtherSession, type="file", data_dir=str(tmp_path)
    )


def test_another_class_is_used_as_it_is(other_class, session, next_session):
    session["a"] = 1
    session.save()
    following = next_session()

    assert following["a"] == 1
    assert following.is_new is False


def test_what_another_class_cannot_read_is_replaced(
    other_class, session, next_session, tmp_path, caplog
):
    session["a"] = 1
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    assert "a" not in following
    assert "cannot be read (UnpicklingError)" in caplog.text


def test_what_another_class_cannot_read_is_an_error_if_that_is_wanted(
    other_class, config, session, next_session, tmp_path
):
    config["invalidate_corrupt"] = False
    session.save()
    following = next_session()
    [file] = tmp_path.rglob("*.cache")
    file.write_bytes(b"broken")

    with pytest.raises(UnpicklingError):
        following.get("a")


def test_an_error_of_another_class_in_a_new_session_is_none_of_ours(
    other_class, config, session
):
    config["type"] = "no such backend"

    with pytest.raises(KeyError):
        session.get("a")


def test_with_auto_another_class_is_saved_as_beaker_does(
    other_class, config, session, next_session
):
    config["auto"] = True
    session["a"] = 1

    assert next_session()["a"] == 1
