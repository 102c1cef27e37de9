"""The command, run as an administrator runs it, on a real zope.conf."""

import json
import os
import pty
import shutil
import subprocess
import sys
from http.client import HTTPConnection
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from collective.beaker import wording
from collective.beaker.caching.factory import region_with
from collective.beaker.caching.manager import RegionCacheManager
from collective.beaker.cli import main
from collective.beaker.cli.console import Duration
from collective.beaker.ctl import beaker
from collective.beaker.documentation import DOCUMENTATION
from collective.beaker.ids import new_id
from collective.beaker.maintenance.stored import SessionInspector
from collective.beaker.session.owners import name_of_path
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import read_zope_conf
from collective.beaker.tests.helpers.forks import in_fork
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.stored_sessions import options_of
from collective.beaker.tests.helpers.visits import ZCML
from collective.beaker.tests.helpers.visits import count_visit
from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can give files away"
)


def zope_conf(folder, settings):
    """Write a zope.conf with a beaker section; return its path."""
    return make_instance(folder / "instance", settings).parent / "zope.conf"


def section(options):
    return "\n".join(f"session.{name} {options[name]}" for name in options)


def invoke(path, *arguments, **options):
    """Run the command in this process."""
    arguments = ["--config", str(path), *arguments]
    return CliRunner().invoke(main, arguments, **options)


def find_command():
    """Return the command that was installed with these tests.

    It is beside Python, or in the PATH that a buildout gives its tests.
    """
    folders = [os.path.dirname(sys.executable), *os.get_exec_path()]
    command = shutil.which("collective-beaker", path=os.pathsep.join(folders))
    assert command, folders
    return command


def run(path, *arguments):
    """Run the command in a process of its own."""
    command = find_command()
    return subprocess.run(
        [command, "--config", path, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.fixture
def check(tmp_path):
    """Return a function that checks settings, and returns the result."""

    def check(settings, *arguments):
        return invoke(zope_conf(tmp_path, settings), "check", *arguments)

    return check


@pytest.fixture
def files(tmp_path):
    """Sessions in files, and the zope.conf that configures them."""
    options = {
        "type": "file",
        "data_dir": str(tmp_path / "sessions"),
        "timeout": 3600,
    }
    found = Sessions(options)
    found.zope_conf = zope_conf(tmp_path, section(options))
    return found


# The mistakes that are made in zope.conf


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "cache.regions Short\ncache.Short.expire 60",
            "ok       cache.Short.expire is 60.",
        ),
        ("session.secret ab$cdef", "Write $$ for a dollar sign"),
        ("session.secret ab$1cdef", "Write $$ for a dollar sign"),
        (
            "session.timeout 10 # ten",
            "zope.conf has no comments after a value",
        ),
        (
            'session.key "id"',
            "zope.conf keeps quotes as part of the value",
        ),
        (
            "session.key",
            "session.key is ''; it must be given a value, or removed",
        ),
        (
            "session.timeout 10\nsession.timeout 20",
            "too many values for 'session.timeout'. The setting is there "
            "twice: remove one",
        ),
        (
            "session:timeout 10",
            "The name of a setting has only letters, digits, dots, - and _",
        ),
        ("session.cookie_expires 1", "Write on, or a larger number"),
        ("session.cookie_expires 0", "Write off, or a larger number"),
        (
            "session.cookie_expires 300",
            "ok       session.cookie_expires is 300.",
        ),
        (
            "session.timeout 0",
            "session.timeout is '0'; it must be a whole number of seconds, "
            "1 or more",
        ),
        ("session.timeout None", "session.timeout is 'None'; it must be"),
        ("session.timeout -1", "session.timeout is '-1'; it must be"),
        (
            "session.invalidate_corrupt false",
            "ok       session.invalidate_corrupt is off.",
        ),
        ("session.use_cookies false", "ok       session.use_cookies is off"),
        (
            "session.samesite Loose",
            "session.samesite is 'Loose'; it must be",
        ),
        (
            "session.type reddis",
            "session.type is 'reddis': there is no such backend. Use one of",
        ),
        (
            "session.time_out 10",
            "Did you mean session.timeout?",
        ),
        ("session type file", "Did you mean session.type?"),
        ("session.url $(SURELY_NOT_SET)", "SURELY_NOT_SET is not set"),
    ],
)
def test_check_finds_a_mistake_and_names_the_remedy(check, settings, told):
    assert told in check(settings).stdout


@pytest.mark.parametrize("secret", ["ab$cdef", "ab${cdef"])
def test_a_mistake_in_a_secret_shows_nothing_of_it(check, secret):
    result = check(f"session.secret {secret}")

    assert result.exit_code == 2
    assert "cdef" not in result.output


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("%import relstorage_that_is_not_there", "Run this with the Python"),
        ("%include missing.conf", "missing.conf"),
        ("nosuchkey on", "'nosuchkey' is not a known key name"),
        ("<nosuchsection>\n</nosuchsection>", "line 15: unknown type name"),
    ],
)
def test_a_zope_conf_that_zope_would_not_read_is_an_error(
    tmp_path, line, told
):
    path = zope_conf(tmp_path, "session.auto on")
    path.write_text(f"{path.read_text()}\n{line}\n")
    result = invoke(path, "check")

    assert result.exit_code == 2
    assert told in result.stdout


def test_a_mistake_in_an_included_file_is_found_there(tmp_path):
    path = zope_conf(tmp_path, "%include session.conf")
    included = path.with_name("session.conf")
    included.write_text("session.auto on\nsession:timeout 10\n")

    result = invoke(path, "check")

    assert f"error    {included}, line 2: " in result.stdout


def test_of_a_dollar_sign_nobody_says_in_which_file_it_is(tmp_path):
    path = zope_conf(tmp_path, "%include session.conf")
    path.with_name("session.conf").write_text("session.secret ab$1cdef\n")

    result = invoke(path, "check")

    assert f"{path}, or a file that it includes: " in result.stdout


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_is_no_zope_conf_is_an_error(tmp_path, content):
    path = tmp_path / "zope.conf"
    if content:
        path.write_bytes(content)

    for command in ("check", "sweep"):
        result = invoke(path, command)
        assert result.exit_code == 2
        assert str(path) in result.output
        assert "with --config" in result.output


@needs_root
def test_a_zope_conf_of_another_user_is_an_error(tmp_path):
    path = zope_conf(tmp_path, "")

    def check_as_another_user():
        os.setuid(65534)
        result = invoke(path, "check")
        return result.exit_code, result.output

    exit_code, output = in_fork(check_as_another_user)

    assert exit_code == 2
    assert "Run this as the user that Zope runs as." in output
    assert "with --config" not in output


def test_zope_conf_is_read_as_zope_reads_it(tmp_path, monkeypatch):
    monkeypatch.setenv("TESTS_FOLDER", str(tmp_path))
    monkeypatch.delenv("TESTS_VARIABLE", raising=False)
    path = zope_conf(tmp_path, "%include session.conf")
    path.with_name("session.conf").write_text(
        "session.data_dir $(TESTS_FOLDER)/$PLACE\nsession.secret a$$b\n"
    )
    path.write_text(
        f"%define PLACE sessions\n{path.read_text()}\n"
        "<environment>\n  TESTS_VARIABLE on\n</environment>\n"
    )
    result = invoke(path, "check", "--json")

    settings = json.loads(result.stdout)["settings"]
    values = {setting["name"]: setting["value"] for setting in settings}
    assert values["session.data_dir"] == str(tmp_path / "sessions")
    assert "session.secret has 3 characters" in result.stdout
    assert os.environ.pop("TESTS_VARIABLE") == "on"


# Check


def test_what_the_terminal_cannot_show_is_escaped(tmp_path):
    path = zope_conf(tmp_path, f"session.data_dir {tmp_path}/\N{SNOWMAN}")
    runner = CliRunner(charset="latin-1")
    result = runner.invoke(main, ["--config", str(path), "check"])

    assert r"\u2603" in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize("settings", ["session.auto on", "session.auto so"])
def test_check_says_where_to_see_whether_the_zcml_is_loaded(settings, check):
    result = check(settings)

    assert "note     Whether Zope loads the ZCML" in result.stdout
    assert "open @@beaker" in result.stdout


@pytest.mark.parametrize(
    ("settings", "status", "strict"),
    [
        ("session.auto on", 0, 0),
        ("session.time_out 10", 0, 1),
        ("session.timeout ten", 2, 2),
    ],
)
def test_the_exit_status_of_check(check, tmp_path, settings, status, strict):
    path = zope_conf(tmp_path, settings)

    assert invoke(path, "check").exit_code == status
    assert invoke(path, "check", "--strict").exit_code == strict


def test_a_store_that_is_down_is_an_error(check):
    url = f"redis://me:very-secret@127.0.0.1:{free_port()}/0"
    result = check(f"session.type ext:redis\nsession.url {url}")

    assert result.exit_code == 2
    assert "error    session failed: The store ext:redis" in result.stdout
    assert "very-secret" not in result.stdout


def test_a_zope_conf_without_a_section_is_a_warning(check):
    result = check("", "--strict")

    assert result.exit_code == 1
    assert "There is no <product-config beaker>" in result.stdout


def test_check_prints_json_with_the_keys_that_are_documented(check, tmp_path):
    result = check(
        f"session.data_dir {tmp_path}/s\nsession.secret short", "--json"
    )

    assert result.stdout.endswith("}\n")
    found = json.loads(result.stdout)
    assert list(found) == [
        "zope_conf",
        "verdict",
        "settings",
        "errors",
        "warnings",
        "stores",
        "regions",
        "sessions",
        "versions",
        "sites",
    ]
    assert found["verdict"] == "warning"
    assert found["stores"][0].keys() == {
        "name",
        "type",
        "address",
        "error",
        "seconds",
    }
    assert {"name", "value", "source"} == found["settings"][0].keys()


def test_the_json_of_a_zope_conf_that_cannot_be_read(tmp_path):
    result = invoke(tmp_path / "missing.conf", "check", "--json")

    found = json.loads(result.stdout)
    assert (found["verdict"], found["stores"]) == ("error", [])
    assert result.exit_code == 2


@needs_root
@pytest.mark.parametrize(
    ("owner", "name"), [(65534, "nobody"), (54321, "#54321")]
)
def test_nothing_is_done_as_another_user_than_zope(files, owner, name):
    files.make(idle=7200)
    os.chown(files.options["data_dir"], owner, owner)

    for command in (["check"], ["sweep"], ["revoke", "--all", "--yes"]):
        result = invoke(files.zope_conf, *command)
        assert result.exit_code == 2
        assert f"belongs to another user, {name}" in result.output
        assert f"sudo -u {name}" in result.output
    assert len(files.ids()) == 1


def test_nothing_is_done_where_any_local_user_can_write(files):
    files.make(idle=7200)
    folder = files.options["data_dir"]
    os.chmod(folder, 0o777)

    for command in (["check"], ["sweep"], ["revoke", "--all", "--yes"]):
        result = invoke(files.zope_conf, *command)
        assert result.exit_code == 2
        assert f"{folder} can be written to by any" in result.output
    assert len(files.ids()) == 1


@needs_root
def test_root_makes_no_folder_for_a_zope_of_another_user(tmp_path):
    folder = tmp_path / "sessions"
    path = zope_conf(tmp_path, f"session.data_dir {folder}")
    clienthome = read_zope_conf(str(path)).clienthome
    os.mkdir(clienthome)
    os.chown(clienthome, 65534, 65534)

    result = invoke(path, "check")

    assert result.exit_code == 2
    assert "belongs to another user, nobody" in result.stdout
    assert not folder.exists()


def test_a_mistake_has_the_permanent_link_of_its_setting(check, tmp_path):
    link = f"See {DOCUMENTATION}/options.html#confval-session.timeout\n"
    path = zope_conf(tmp_path, "session.timeout ten")

    assert link in invoke(path, "check").stdout
    assert link in invoke(path, "sweep").stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_the_command(shell):
    environment = {"_COLLECTIVE_BEAKER_COMPLETE": f"{shell}_source"}

    result = CliRunner().invoke(
        main, [], prog_name="collective-beaker", env=environment
    )

    assert result.exit_code == 0
    assert "collective-beaker" in result.stdout


# As a user runs it, on each store


def test_the_command_looks_after_every_store(shared_store, tmp_path):
    options = {**options_of(shared_store), "timeout": 3600}
    sessions = Sessions(options)
    path = zope_conf(tmp_path, section(options))
    fresh, _ = sessions.make(), sessions.make(idle=7200)

    checked = invoke(path, "check", "--strict")
    assert checked.exit_code == 0, checked.stdout
    assert f"session: {shared_store.type} (" in checked.stdout

    counted = invoke(path, "sessions")
    assert "Sessions       2\n" in counted.stdout
    assert "Expired        1 (1 due for a sweep)\n" in counted.stdout

    dry = invoke(path, "sweep", "--dry-run")
    assert dry.stdout.startswith("Would remove 1 expired session,")
    assert len(sessions.ids()) == 2

    swept = run(path, "sweep")
    assert swept.stdout.startswith("Removed 1 expired session,")
    assert "Kept 1 session;" in swept.stdout
    assert sessions.ids() == {fresh}

    assert invoke(path, "revoke", fresh, "--yes").exit_code == 0
    assert sessions.ids() == set()
    assert "password" not in checked.stdout + counted.stdout


def test_memcached_says_that_it_cannot_list(memcached, tmp_path):
    memcached.start()
    options = {"type": "ext:memcached", "url": memcached.url}
    path = zope_conf(tmp_path, section(options))
    id = Sessions(options).make()

    assert run(path, "check").returncode == 0
    for command in (["sessions"], ["sweep"], ["revoke", "--all"]):
        result = invoke(path, *command, input="y\n")
        assert result.exit_code == 2
        assert "cannot list its sessions" in result.stderr
        assert "[y/N]" not in result.stderr
    assert invoke(path, "revoke", id, "--yes").exit_code == 0


def test_the_command_works_while_zope_serves(tmp_path):
    data_dir = tmp_path / "sessions"
    settings = f"session.data_dir {data_dir}\nsession.timeout 3600"
    zope_ini = make_instance(tmp_path / "instance", settings, ZCML)
    with zope_server(zope_ini) as zope:
        path = zope_ini.with_name("zope.conf")
        connection = HTTPConnection("127.0.0.1", zope.port, timeout=SECONDS)
        headers = {}

        def visit():
            connection.request("GET", "/@@visits", headers=headers)
            response = connection.getresponse()
            if cookie := response.headers["Set-Cookie"]:
                headers["Cookie"] = cookie.partition(";")[0]
            return response.read().decode().rpartition(" ")[2]

        assert (visit(), visit()) == ("1", "2")
        assert "Sessions       1\n" in run(path, "sessions").stdout
        assert "Kept 1 session;" in run(path, "sweep").stdout
        assert visit() == "3"
        assert (
            "Ended 1 session." in run(path, "revoke", "--all", "--yes").stdout
        )
        assert visit() == "1"


# Sessions


def test_sessions_are_shown_in_charts(files):
    for idle in (0, 0, 120, 7200):
        files.make(idle=idle)
    files.make(text="0123456789" * 5000)
    result = invoke(files.zope_conf, "sessions")

    assert "  up to 1 minute               3  ####" in result.stdout
    assert "  1 minute to 1 hour           1  ####" in result.stdout
    assert "over 30 days" not in result.stdout
    assert "  10 kB to 100 kB              1  ####" in result.stdout
    assert "Oldest         2 hours" in result.stdout


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (3600, "1 hour"),
        (86400, "1 day"),
        (14 * 86400, "14 days"),
    ],
)
def test_a_time_is_told_in_its_largest_unit(seconds, shown):
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("bytes", "shown"),
    [
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1 kB"),
        (1536, "1.5 kB"),
        (1024**2, "1 MB"),
        (1536 * 1024**2, "1,536 MB"),
    ],
)
def test_a_size_is_told_in_its_largest_unit(bytes, shown):
    assert wording.size(bytes) == shown


def test_no_command_shows_an_id_or_data(files):
    ids = {files.make(text="private"), files.make(idle=7200, text="private")}
    for command in (
        ["check", "--json"],
        ["sessions"],
        ["sweep"],
        ["revoke", "--all", "--yes"],
    ):
        output = invoke(files.zope_conf, *command).output
        assert "private" not in output
        assert not any(id in output for id in ids)


@pytest.mark.parametrize(
    "settings", ["session.auto on", "session.type memory"]
)
@pytest.mark.parametrize("command", ["sessions", "sweep"])
def test_sessions_in_memory_are_out_of_reach(tmp_path, settings, command):
    result = invoke(zope_conf(tmp_path, settings), command)

    assert result.exit_code == 2
    assert "session.type is 'memory'" in result.stderr


def test_sessions_in_cookies_are_out_of_reach(tmp_path):
    settings = "session.type cookie\nsession.validate_key a-long-enough-key"
    result = invoke(zope_conf(tmp_path, settings), "sessions")

    assert result.exit_code == 2
    assert "Change session.validate_key to end them all" in result.stderr


def test_without_session_settings_there_are_no_sessions(tmp_path):
    result = invoke(zope_conf(tmp_path, "cache.regions short"), "sweep")

    assert result.exit_code == 2
    assert "configures no sessions" in result.stderr
    assert "give another file with --config" in result.stderr


def test_a_mistake_in_the_settings_stops_each_command(tmp_path):
    path = zope_conf(tmp_path, "session.timeout ten\ncache.regions short")

    for command in (["sessions"], ["sweep"], ["clear", "short"]):
        result = invoke(path, *command)
        assert result.exit_code == 2
        assert "session.timeout is 'ten'" in result.stderr


def test_a_session_that_has_just_expired_is_not_due_for_a_sweep(files):
    for idle in (3610, 7200):
        files.make(idle=idle)

    counted = invoke(files.zope_conf, "sessions").stdout
    swept = invoke(files.zope_conf, "sweep").stdout

    assert "Expired        2 (1 due for a sweep)\n" in counted
    assert swept.startswith("Removed 1 expired session,")


# Options


@pytest.mark.parametrize(
    "command",
    [["check"], ["sessions"], ["sweep"], ["revoke", "--all"], ["clear", "x"]],
)
def test_the_zope_conf_may_be_named_behind_the_subcommand(tmp_path, command):
    path = tmp_path / "missing.conf"

    result = CliRunner().invoke(main, [*command, "--config", str(path)])

    assert result.exit_code == 2
    assert str(path) in result.output


def test_the_zope_conf_behind_the_subcommand_wins(files, tmp_path):
    path = str(files.zope_conf)

    result = invoke(tmp_path / "missing.conf", "sweep", "-c", path)

    assert result.exit_code == 0


@pytest.mark.parametrize("arguments", [["--version"], ["sweep", "--version"]])
def test_the_command_has_a_version(arguments):
    result = CliRunner().invoke(main, arguments, prog_name="the command")

    assert result.stdout.startswith("the command")
    assert "version" in result.stdout


# Sweep


def test_without_a_timeout_sweep_says_that_nothing_expires(tmp_path):
    options = {"data_dir": str(tmp_path / "sessions")}
    sessions = Sessions(options)
    path = zope_conf(tmp_path, section(options))
    sessions.make(idle=2 * 86400)

    result = invoke(path, "sweep")
    assert "Kept 1 session" in result.stdout
    assert "set session.timeout, or give --idle" in result.stderr

    result = invoke(path, "sweep", "--idle", "1d")
    assert "Removed 1 expired session" in result.stdout
    assert result.stderr == ""


def test_an_absolute_timeout_is_enough_for_a_sweep(tmp_path):
    data_dir = str(tmp_path / "sessions")
    options = {"data_dir": data_dir, "absolute_timeout": 3600}
    path = zope_conf(tmp_path, section(options))
    Sessions(options).make(age=7200)

    result = invoke(path, "sweep")

    assert "Removed 1 expired session" in result.stdout
    assert result.stderr == ""


def test_sweep_explains_what_is_unreadable(files):
    files.put("no session at all")
    result = invoke(files.zope_conf, "sweep")

    assert "1 unreadable" in result.stdout
    assert "revoke --all ends such sessions, too" in result.stderr


def test_a_store_that_is_down_ends_the_command(tmp_path):
    url = f"redis://127.0.0.1:{free_port()}/0"
    options = {"type": "ext:redis", "url": url}
    result = invoke(zope_conf(tmp_path, section(options)), "sweep")

    assert result.exit_code == 2
    assert "The store ext:redis" in result.stderr


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("12h", 43200),
        ("7d", 604800),
        ("2w", 1209600),
    ],
)
def test_a_time_has_a_number_and_a_unit(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    "text", ["7", "d", "0d", "1.5d", "7 d", "-1d", "7y", "9" * 5000 + "d"]
)
def test_what_is_no_time_is_answered_with_an_example(text):
    with pytest.raises(click.BadParameter, match="7d is seven days"):
        Duration().convert(text, None, None)


def test_an_idle_time_that_nobody_measures_is_refused(files):
    result = invoke(files.zope_conf, "sweep", "--idle", "10s")

    assert result.exit_code == 2
    assert "session.resolution_seconds" in result.stderr
    assert "Give --idle a longer time" in result.stderr


def test_a_terminal_shows_how_far_it_is(files):
    for _ in range(3):
        files.make()
    reader, writer = pty.openpty()
    command = find_command()
    subprocess.run(
        [command, "--config", files.zope_conf, "sweep"],
        stdout=subprocess.DEVNULL,
        stderr=writer,
        timeout=SECONDS,
        check=True,
    )
    os.close(writer)
    with os.fdopen(reader, "rb", 0) as terminal:
        assert b"100%" in terminal.read(10_000)


@pytest.mark.parametrize("command", ["sessions", "sweep"])
def test_a_reader_that_goes_away_is_no_error_of_the_store(files, command):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [find_command(), "--config", files.zope_conf, command],
            stdout=gone,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
        )

    assert done.stderr == b""


def test_a_file_gets_plain_lines(files):
    files.make()
    result = invoke(files.zope_conf, "sweep")

    assert len(result.stdout.splitlines()) == 2
    assert result.stderr == ""


# Revoke


def test_revoke_asks_and_takes_no_for_an_answer(files):
    id = files.make()

    for what in (id, "--all"):
        result = invoke(files.zope_conf, "revoke", what, input="n\n")
        assert result.exit_code == 2
        assert "[y/N]" in result.stderr
        assert "Nothing was done." in result.stderr
    assert files.ids() == {id}

    # There is nobody to ask.
    result = invoke(files.zope_conf, "revoke", "--all", input="")
    assert result.exit_code == 2
    assert "give --yes" in result.stderr
    assert files.ids() == {id}

    result = invoke(files.zope_conf, "revoke", "--all", input="y\n")
    assert "Ended 1 session." in result.stdout
    assert files.ids() == set()


def test_revoke_takes_a_closed_input_for_an_answer(files):
    files.make()
    command = f"{find_command()} -c {files.zope_conf} revoke --all <&-"
    done = subprocess.run(
        command, shell=True, stderr=subprocess.PIPE, timeout=SECONDS
    )

    assert b"Nothing was done." in done.stderr


@pytest.mark.parametrize("secret", [None, "a secret of the tests"])
@pytest.mark.parametrize("form", ["{}", "beaker.session.id={}", '"{}"'])
def test_revoke_takes_a_cookie(files, config, visitor, secret, form):
    config.update(files.options, secret=secret)
    visitor.visit(count_visit)
    cookie = form.format(visitor.cookies[config["key"]])

    result = invoke(files.zope_conf, "revoke", cookie, "--yes")

    assert result.stdout == "Ended the session.\n"
    assert visitor.visit(count_visit).text == "1"


def test_revoke_asks_only_if_there_is_something_to_end(files):
    for id in (new_id(), "no id"):
        result = invoke(files.zope_conf, "revoke", id, input="y\n")
        assert result.exit_code == 2
        assert "[y/N]" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "either the ID of a session, or --user, or --all"),
        (
            [new_id(), "--all"],
            "either the ID of a session, or --user, or --all",
        ),
        ([new_id()], "There is no session with this ID. Those of sites with"),
        (["../x"], "32 hexadecimal digits"),
    ],
)
def test_revoke_says_what_is_wrong_with_an_id(files, arguments, told):
    result = invoke(files.zope_conf, "revoke", *arguments, "--yes")

    assert result.exit_code == 2
    assert told in result.stderr


# The sessions of a user


@pytest.fixture
def users(files):
    """The sessions of two users, and one that is nobody's."""
    marks = files.session.policy.owners
    return {
        name: files.make(
            _user=marks.mark(name_of_path("/acl_users", name)),
            _client="Firefox on Linux",
            idle=1800,
            age=86400,
        )
        for name in ("anna", "bert")
    } | {"nobody": files.make(city="Lisbon")}


def test_the_sessions_of_a_user_are_listed(files, users):
    result = invoke(files.zope_conf, "sessions", "--user", "/acl_users/anna")

    assert result.stdout.splitlines() == [
        "The user has 1 session:",
        "  Firefox on Linux, last used 30 minutes ago, begun 1 day ago",
    ]


def test_a_user_without_sessions_has_none_listed(files):
    result = invoke(files.zope_conf, "sessions", "--user", "/acl_users/anna")

    assert result.stdout.startswith("The user has no session. If you")


def test_the_sessions_of_a_user_are_ended(files, users):
    options = ("--user", "/acl_users/anna")
    result = invoke(files.zope_conf, "revoke", *options, input="y\n")

    assert "End 1 session in" in result.stderr
    assert "Ended 1 session." in result.stdout
    assert files.ids() == {users["bert"], users["nobody"]}


@pytest.mark.parametrize("more", [[], ["--yes"]])
def test_a_session_of_the_user_that_is_unreadable_here_is_ended(
    files, users, more
):
    """To Zope, where the class exists, it would go on to be one."""
    id, store = users["anna"], files.store
    mark = files.session.policy.owners.mark(name_of_path("/acl_users", "anna"))
    store.add_to_index(mark, id)
    store.swap(id, store.load(id), "no session")
    options = ["--user", "/acl_users/anna", *more]
    result = invoke(files.zope_conf, "revoke", *options, input="y\n")

    assert "Ended 1 session." in result.stdout
    assert files.ids() == {users["bert"], users["nobody"]}


def test_the_user_of_another_folder_is_another_one(files, users):
    options = ("--user", "/site/acl_users/anna")
    result = invoke(files.zope_conf, "revoke", *options)

    assert result.exit_code == 2
    assert "The user has no session." in result.stderr
    assert files.ids() == set(users.values())


def test_whoever_ends_no_session_of_a_user_is_told_to_check_the_path(files):
    options = ("--user", "/acl_users/no-such-user", "--yes")
    result = invoke(files.zope_conf, "revoke", *options)

    assert result.exit_code == 0
    assert "check the path" in result.stdout


def test_the_id_of_a_user_may_have_slashes(files):
    name = name_of_path("/site/acl_users", "https://id.example.org/anna")
    files.make(_user=files.session.policy.owners.mark(name))
    options = ("--user", "/site/acl_users/https://id.example.org/anna")
    result = invoke(files.zope_conf, "sessions", *options)

    assert result.stdout.startswith("The user has 1 session:\n")


@pytest.mark.parametrize("command", ["sessions", "revoke"])
def test_users_of_sessions_that_know_none_are_refused(command, tmp_path):
    settings = section({"data_dir": tmp_path, "login_policy": "off"})
    path = zope_conf(tmp_path, settings)
    result = invoke(path, command, "--user", "/acl_users/anna")

    assert result.exit_code == 2
    assert "session.login_policy is 'off'" in result.stderr


def test_a_user_without_a_folder_is_refused(files):
    result = invoke(files.zope_conf, "sessions", "--user", "anna")

    assert result.exit_code == 2
    assert "/Plone/acl_users/erika" in result.stderr


# Clear


def test_one_region_is_cleared(tmp_path):
    path = zope_conf(
        tmp_path,
        f"""
        cache.regions short, long
        cache.type file
        cache.data_dir {tmp_path}/caches
        """,
    )
    configuration = read_configuration(read_zope_conf(path).section)
    manager = RegionCacheManager(**configuration.cache)
    short, long = (
        manager.get_cache_region("prices", region)
        for region in ("short", "long")
    )
    for cache in (short, long):
        cache.put("apple", 1)

    ran = run(path, "clear", "short")

    assert ran.stdout == "Emptied short: 1 value removed.\n", ran.stderr
    assert "apple" not in short
    assert "apple" in long


def test_a_region_in_memory_is_out_of_reach(tmp_path):
    result = invoke(
        zope_conf(tmp_path, "cache.regions short"), "clear", "short"
    )

    assert result.exit_code == 2
    assert "Restart Zope to empty them" in result.stderr


@pytest.mark.parametrize("settings", ["cache.regions short", ""])
def test_a_region_that_is_not_there_is_an_error(tmp_path, settings):
    result = invoke(zope_conf(tmp_path, settings), "clear", "shrt")

    assert result.exit_code == 2
    assert "There is no cache region 'shrt'" in result.stderr


def test_sweep_removes_expired_values_of_caches(tmp_path):
    """Even where no sessions are configured."""
    path = zope_conf(
        tmp_path,
        f"""
        cache.type file
        cache.data_dir {tmp_path}/caches
        cache.expire 60
        """,
    )
    configuration = read_configuration(read_zope_conf(path).section)
    store = region_with("", configuration.caches["cache"]).store
    store.put("v:1", b"expired", -1)

    result = invoke(path, "sweep", "--dry-run")
    assert result.stdout == "Would remove 1 expired value of caches.\n"

    result = invoke(path, "sweep")
    assert result.stdout == "Removed 1 expired value of caches.\n"
    assert result.exit_code == 0


def test_a_cache_that_cannot_be_swept_keeps_nothing_else_from_it(tmp_path):
    (tmp_path / "no-folder").touch()
    path = zope_conf(
        tmp_path,
        f"""
        session.type file
        session.data_dir {tmp_path}/sessions
        cache.type file
        cache.data_dir {tmp_path}/no-folder
        cache.regions short
        cache.short.data_dir {tmp_path}/caches
        """,
    )
    configuration = read_configuration(read_zope_conf(path).section)
    store = region_with("short", configuration.regions["short"]).store
    store.put("v:1", b"expired", -1)

    result = invoke(path, "sweep")

    assert "Removed 1 expired value of caches." in result.stdout
    assert "Kept 0 sessions" in result.stdout
    assert result.exit_code == 2
    assert f"The store file ({tmp_path}/no-folder/values)" in result.stderr


# Under bin/instance


def control(path, *arguments):
    """What plone.recipe.zope2instance hands to a subcommand."""
    options = SimpleNamespace(configfile=str(path), args=list(arguments))
    return SimpleNamespace(options=options)


@pytest.mark.parametrize("prompt", [False, True])
def test_the_command_is_one_of_bin_instance(files, capsys, prompt):
    files.make(idle=7200)
    arguments = [] if prompt else ["beaker", "sweep", "--dry-run"]

    with pytest.raises(SystemExit) as ended:
        beaker(control(files.zope_conf, *arguments), "sweep --dry-run")

    assert ended.value.code == 0
    assert "Would remove 1 expired session" in capsys.readouterr().out


def test_bin_instance_shows_the_zope_conf_that_it_uses(files, capsys):
    with pytest.raises(SystemExit):
        beaker(control(files.zope_conf, "beaker", "--help"), "--help")

    shown = "".join(capsys.readouterr().out.split())
    assert f"[default:{files.zope_conf}]" in shown


def test_bin_instance_ends_with_the_status_of_the_command(files):
    files.zope_conf.write_text("nonsense")

    with pytest.raises(SystemExit) as ended:
        beaker(control(files.zope_conf, "beaker", "check"), "check")

    assert ended.value.code == 2


def test_a_store_without_a_length_has_no_bar():
    options = {"type": "ext:memcached", "url": "127.0.0.1:1"}

    assert SessionInspector(options).estimate() == 0
