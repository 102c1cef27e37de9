"""From options to a store, and what it takes to add one."""

import pytest
from beaker.cache import clsmap
from click.testing import CliRunner

from collective.beaker.cli import main
from collective.beaker.interfaces import StoreUnavailable
from collective.beaker.report import make_report
from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.backends import Backend
from collective.beaker.settings.options import SESSION_OPTIONS
from collective.beaker.settings.options import with_defaults
from collective.beaker.settings.readers import text
from collective.beaker.settings.section import read_configuration
from collective.beaker.stores import Record
from collective.beaker.stores import Store
from collective.beaker.stores import find_store
from collective.beaker.stores.files import FileStore
from collective.beaker.tests.helpers.stores import WRONG_ADDRESSES
from collective.beaker.tests.helpers.views import count
from collective.beaker.tests.helpers.zope import make_instance


URL = "redis://localhost:6379/0"


# Which addresses lead nowhere


@pytest.mark.parametrize("options", WRONG_ADDRESSES, ids=repr)
def test_a_store_with_a_wrong_address_is_out_of_reach(options):
    with pytest.raises(StoreUnavailable) as raised:
        find_store({**options, "socket_timeout": 1}).load("0" * 32)

    assert "secret" not in str(raised.value)


# Which options are a store's


@pytest.mark.parametrize(
    "others",
    [
        {"auto": True, "key": "another", "secret": "a secret"},
        {"timeout": 60, "sweep_interval": 60},
        {"session_class": object, "an_option_of_tomorrow": 1},
        {"expire": 60, "enabled": False},
        {"lock_dir": None},
    ],
)
def test_options_that_a_store_does_not_name_make_no_other_store(others):
    options = {"type": "ext:redis", "url": URL}

    assert find_store(options) is find_store(options | others)


@pytest.mark.parametrize(
    "others",
    [{"url": "redis://localhost:6379/1"}, {"socket_timeout": 1}],
)
def test_options_that_a_store_names_make_another_store(others):
    options = {"type": "ext:redis", "url": URL}

    assert find_store(options) is not find_store(options | others)


def test_a_store_that_forgets_records_is_another_one():
    options = {"type": "ext:redis", "url": URL}

    assert find_store(options) is not find_store(options, timeout=60)


def test_files_are_one_store_whatever_the_timeout(tmp_path):
    options = {"type": "file", "data_dir": str(tmp_path)}

    assert find_store(options) is find_store(options, timeout=60)


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_no_store_takes_an_option_of_sessions_by_chance(name):
    arguments = BACKENDS[name].store_arguments(
        dict.fromkeys(SESSION_OPTIONS, "set") | {"unknown": "set"}
    )
    known = {"data_dir", "lock_dir", "socket_timeout", "timeout"}

    assert arguments.keys() & SESSION_OPTIONS.keys() <= known
    assert ("unknown" in arguments) == BACKENDS[name].takes_any


# Which store


def test_a_folder_alone_makes_a_store_of_files(tmp_path):
    found = find_store({"type": None, "data_dir": str(tmp_path)})

    assert isinstance(found, FileStore)
    assert found.kind == "file"


def test_no_options_at_all_make_a_store_in_memory():
    assert find_store({}).kind == "memory"


def test_a_class_of_beakers_finds_our_store(tmp_path):
    options = {"data_dir": str(tmp_path), "namespace_class": clsmap["file"]}

    assert isinstance(find_store(options), FileStore)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("reddis", "The type is 'reddis': there is no such backend."),
        (
            "redis://:pw@host",
            r"The type is 'redis://\*\*\*@host': there is no",
        ),
        ("ext:google", "The type is 'ext:google': the App Engine interface"),
        ("cookie", "The type is 'cookie', which has no store."),
    ],
)
def test_a_type_without_a_store_is_an_error_that_names_it(kind, reason):
    with pytest.raises(LookupError, match=reason):
        find_store({"type": kind})


# A store of somebody's own: a module, and an entry in the table


class ShelfStore(Store):
    """Keeps records on a shelf, which has a name."""

    def __init__(self, kind, shelf):
        super().__init__(kind, shelf)
        self._records = {}

    def _load(self, id):
        text = self._records.get(id)
        return None if text is None else Record(text)

    def _swap(self, id, old, new, seconds=None):
        if self._load(id) != old:
            return False
        self._delete(id)
        if new is not None:
            self._records[id] = new
        return True

    def _delete(self, id):
        self._records.pop(id, None)


@pytest.fixture
def shelf(monkeypatch, id):
    """The options of a store that was added to the table."""
    entry = Backend(
        "shelf",
        options={"shelf": text},
        needs=(("shelf",),),
        store=f"{__name__}:ShelfStore",
        store_options=("shelf",),
        lists=False,
        session_remedy="Tidy up.",
    )
    monkeypatch.setitem(BACKENDS, "shelf", entry)
    # Each test has a shelf of its own.
    return {"type": "shelf", "shelf": id}


def test_a_store_that_is_added_is_found(shelf):
    assert isinstance(find_store(with_defaults(shelf)), ShelfStore)


def test_a_store_that_is_added_keeps_sessions(shelf, config, visitor):
    config.update(shelf)

    assert [visitor.visit(count).text for _ in range(3)] == ["1", "2", "3"]
    assert len(find_store(config)._records) == 1


def test_the_options_of_a_store_that_is_added_are_checked(shelf):
    def errors(**options):
        section = {f"session.{name}": text for name, text in options.items()}
        return read_configuration(section).errors

    assert errors(**shelf) == []
    assert errors(type="shelf") == [
        "session.type is 'shelf', which needs session.shelf. Set it."
    ]


def test_a_report_tries_out_a_store_that_is_added(shelf):
    section = {f"session.{name}": text for name, text in shelf.items()}
    report = make_report(section, count_seconds=1)

    assert report.warnings == []
    (session, _) = report.stores
    assert session.works, session.error
    assert (session.type, session.address) == ("shelf", shelf["shelf"])
    assert report.sessions.error == (
        "session.type is 'shelf', a store that cannot list its sessions. "
        "Tidy up."
    )


def test_the_command_checks_a_store_that_is_added(shelf, tmp_path):
    settings = f"session.type shelf\nsession.shelf {shelf['shelf']}"
    path = make_instance(tmp_path / "instance", settings).parent / "zope.conf"
    result = CliRunner().invoke(main, ["--config", str(path), "check"])

    assert result.exit_code == 0, result.output
    assert f"session: shelf ({shelf['shelf']}) works, with" in result.output
