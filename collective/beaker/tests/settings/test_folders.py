"""The folders that are configured."""

import os
from pathlib import Path

import pytest

from collective.beaker.settings.folders import folder_warnings
from collective.beaker.settings.folders import make_folders
from collective.beaker.settings.folders import used_folders
from collective.beaker.settings.section import read_configuration


def test_folders_are_created(tmp_path):
    configuration = read_configuration(
        {
            "session.data_dir": str(tmp_path / "sessions" / "data"),
            "session.lock_dir": str(tmp_path / "sessions" / "lock"),
            "cache.regions": "a",
            "cache.a.data_dir": str(tmp_path / "cache"),
        }
    )

    assert make_folders(configuration) == []
    assert (tmp_path / "sessions" / "data").is_dir()
    assert (tmp_path / "sessions" / "lock").is_dir()
    assert (tmp_path / "cache").is_dir()


@pytest.mark.parametrize("prefix", ["session", "cache"])
@pytest.mark.parametrize("name", ["file", "dbm"])
def test_the_folders_of_the_files_themselves_are_created(
    prefix, name, tmp_path
):
    folders = {
        f"{prefix}.{name}_dir": str(tmp_path / "files"),
        f"{prefix}.lock_dir": str(tmp_path / "locks"),
    }
    configuration = read_configuration({f"{prefix}.type": name, **folders})

    assert configuration.errors == make_folders(configuration) == []
    assert (tmp_path / "files").is_dir()
    assert (tmp_path / "locks").is_dir()


def test_folders_that_are_created_are_for_zope_only(tmp_path):
    """Those above, too: whoever can rename one can put another there."""
    folder = tmp_path / "var" / "sessions"
    before = os.umask(0)
    try:
        make_folders(read_configuration({"session.data_dir": str(folder)}))
    finally:
        os.umask(before)

    for each in (folder, folder.parent):
        assert each.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="no folder that root cannot write"
)
def test_a_folder_that_cannot_be_written_is_an_error():
    configuration = read_configuration({"session.data_dir": "/proc/self"})

    [error] = make_folders(configuration)
    assert error.startswith("session.data_dir is '/proc/self', which cannot")


def test_folders_that_are_there_stay_as_they_are(tmp_path):
    tmp_path.chmod(0o755)
    make_folders(read_configuration({"session.data_dir": str(tmp_path)}))

    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "setting",
    [
        "session.lock_dir",
        "session.file_dir",
        "cache.data_dir",
        "cache.dbm_dir",
        "cache.a.lock_dir",
    ],
)
def test_a_folder_that_cannot_be_used_is_an_error(tmp_path, setting):
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "folder")
    configuration = read_configuration({"cache.regions": "a", setting: folder})

    [error] = make_folders(configuration)
    assert error.startswith(f"{setting} is {folder!r}, which cannot be used:")
    assert error.endswith("Name a folder that Zope can create and write to.")


def test_a_name_that_no_folder_can_have_is_an_error():
    configuration = read_configuration({"session.data_dir": "/a\0b"})

    [error] = make_folders(configuration)
    assert error.startswith("session.data_dir is '/a\\x00b', which cannot be")
    assert folder_warnings(configuration) == []


def test_a_folder_that_regions_inherit_is_reported_once(tmp_path):
    (tmp_path / "file").write_text("")
    configuration = read_configuration(
        {"cache.regions": "a, b", "cache.data_dir": str(tmp_path / "file")}
    )

    [error] = make_folders(configuration)
    assert error.startswith("cache.data_dir is ")


def warnings_of(folder, setting="session.data_dir"):
    return folder_warnings(read_configuration({setting: str(folder)}))


@pytest.mark.parametrize("setting", ["session.data_dir", "cache.lock_dir"])
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_that_all_can_write_to_is_a_warning(tmp_path, setting, mode):
    tmp_path.chmod(mode)
    [warning] = warnings_of(tmp_path, setting)

    assert warning.startswith(f"{setting} is {str(tmp_path)!r}, which any")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can give folders away",
)
def test_a_folder_of_another_user_is_a_warning(tmp_path):
    os.chown(tmp_path, 54321, 54321)
    [warning] = warnings_of(tmp_path)

    assert "which belongs to another user, #54321." in warning


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775])
def test_a_folder_of_ours_is_no_warning(tmp_path, mode):
    tmp_path.chmod(mode)

    assert warnings_of(tmp_path) == []
    assert warnings_of(tmp_path / "missing") == []


@pytest.mark.parametrize("prefix", ["session", "cache"])
def test_the_folder_of_a_file_of_sqlite_is_created(tmp_path, prefix):
    (tmp_path / "file").write_text("")

    def make(folder):
        url = f"sqlite:///{tmp_path}/{folder}/a.db"
        settings = {f"{prefix}.type": "ext:database", f"{prefix}.url": url}
        return make_folders(read_configuration(settings))

    assert make("missing") == []
    assert (tmp_path / "missing").is_dir()
    [error] = make("file/folder")
    assert error.startswith(f"{prefix}.url names a file in '{tmp_path}/file/f")


def test_a_file_of_sqlite_where_all_can_write_is_a_warning(tmp_path):
    tmp_path.chmod(0o777)
    settings = {
        "session.type": "ext:database",
        "session.url": f"sqlite:///{tmp_path}/sessions.db",
    }
    configuration = read_configuration(settings)
    [warning] = folder_warnings(configuration)

    assert warning.startswith(
        f"session.url names a file in {str(tmp_path)!r}, which any local user"
    )
    assert used_folders(configuration) == [str(tmp_path)]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("session.data_dir", "var/sessions"),
        ("session.data_dir", "~/sessions"),
        ("cache.lock_dir", "locks"),
        ("session.url", "sqlite:///sessions.db"),
    ],
)
def test_a_folder_that_depends_on_where_a_process_starts_is_warned_of(
    setting, value, tmp_path, monkeypatch
):
    """From elsewhere, the command would end no session, and say so."""
    monkeypatch.chdir(tmp_path)
    more = {"session.type": "ext:database"} if "url" in setting else {}
    configuration = read_configuration({setting: value, **more})
    make_folders(configuration)

    [warning] = folder_warnings(configuration)
    assert warning.startswith(f"{setting} ")
    assert warning.endswith("Write an absolute path.")
