"""The command with --zope, which reads the database of Zope."""

import json
import re
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from OFS.Application import Application
from OFS.Folder import Folder
from persistent.mapping import PersistentMapping
from Products.Five.component import enableSite
from zope.component import getGlobalSiteManager
from zope.component.persistentregistry import PersistentComponents
from Zope2.Startup.options import ZopeWSGIOptions

from collective.beaker.cli import database
from collective.beaker.cli import main
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.session.owners import name_of_path
from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import running
from collective.beaker.tests.helpers.sessions import open_stored
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.zope import make_instance
from collective.beaker.tests.helpers.zope import zope_server


FILE = """
    <filestorage>
        path {path}
    </filestorage>
"""
MEMORY = """
    <mappingstorage>
    </mappingstorage>
"""
ZEO = """
    %import ZEO
    <zodb_db main>
    <clientstorage>
        server 127.0.0.1:{port}
        wait-timeout {seconds}
    </clientstorage>
"""
RELSTORAGE = """
    %import relstorage
    <zodb_db main>
    <relstorage>
        <sqlite3>
            data-dir {path}
        </sqlite3>
    </relstorage>
"""


class Instance:
    """A Zope instance with a database, in which a site has its own options."""

    def __init__(self, folder):
        self.sessions = self._sessions(folder / "sessions", timeout=3600)
        self.of_site = self._sessions(folder / "of-site", timeout=60)
        settings = "\n".join(
            f"session.{name} {value}"
            for name, value in self.sessions.options.items()
        )
        self.zope_ini = make_instance(folder / "instance", settings)
        self.zope_conf = self.zope_ini.with_name("zope.conf")
        self.use(FILE.format(path=folder / "Data.fs"))

    def _sessions(self, folder, **options):
        return Sessions({"type": "file", "data_dir": str(folder), **options})

    def use(self, storage):
        """Have Zope keep its database in a storage."""
        before, _, after = self.zope_conf.read_text().partition("<zodb_db")
        _, _, after = after.partition("</zodb_db>")
        if "<zodb_db" not in storage:
            storage = f"<zodb_db main>{storage}"
        self.zope_conf.write_text(
            f"{before}{storage}mount-point /\n</zodb_db>{after}"
        )

    def fill(self, **options):
        """Store a site with its options, as a Zope that is over would."""
        with self.stored("/") as root:
            root._setObject("site", Folder("site"))
            self.make_site(root.site, **options)

    @contextmanager
    def stored(self, mount_point):
        """Yield the root folder of a new database, which is then stored."""
        options = ZopeWSGIOptions(configfile=str(self.zope_conf))
        db = options().configroot.dbtab.getDatabase(mount_point)
        with db.transaction() as connection:
            connection.root()["Application"] = root = Application()
            yield root
        db.close()

    def make_site(self, folder, **options):
        components = PersistentComponents()
        components.__bases__ = (getGlobalSiteManager(),)
        folder.setSiteManager(components)
        enableSite(folder)
        options = {**self.of_site.options, **options}
        components.registerUtility(PersistentMapping(options), ISessionConfig)

    def set(self, **options):
        """Add settings of sessions to zope.conf."""
        lines = [f"session.{name} {each}" for name, each in options.items()]
        lines.append("</product-config>")
        text = self.zope_conf.read_text()
        text = text.replace("</product-config>", "\n".join(lines))
        self.zope_conf.write_text(text)

    def begin_session_of_anna(self, **options):
        session = open_stored(**self.sessions.options, **options)
        user = name_of_path("/acl_users", "anna")
        session.belong_to(session.policy.owners.mark(user), "")
        session.save()

    def end_sessions_of_anna(self):
        path = "/acl_users/anna"
        return self.run("revoke", "--zope", "--yes", "--user", path)

    def run(self, *arguments, **options):
        arguments = ["--config", str(self.zope_conf), *arguments]
        return CliRunner().invoke(main, arguments, **options)


@pytest.fixture
def instance(tmp_path, config):
    return Instance(tmp_path)


@pytest.fixture
def filled(instance):
    instance.fill()
    return instance


# Check


def test_check_shows_what_a_site_configures_while_zope_serves(filled):
    with zope_server(filled.zope_ini):
        result = filled.run("check", "--zope")

    assert result.exit_code == 0, result.output
    assert "ok       /site: session.timeout is 60." in result.stdout
    folder = filled.of_site.options["data_dir"]
    assert f"/site: session: file ({folder}/" in result.stdout


def test_check_without_the_option_does_not_open_the_database(instance):
    result = instance.run("check")

    assert result.exit_code == 0
    assert "/site" not in result.stdout


def test_a_text_that_nothing_converts_is_an_error(instance):
    instance.fill(timeout="60")

    result = instance.run("check", "--zope")

    assert result.exit_code == 2
    assert (
        "error    /site: session.timeout is the text '60', which nothing "
        "converts here. Set it to 60, without quotes." in result.stdout
    )


def test_a_value_of_a_wrong_type_is_an_error(instance):
    instance.fill(validate_key=123456789)

    result = instance.run("check", "--zope")

    assert result.exit_code == 2
    assert (
        "error    /site: session.validate_key is (hidden); it must be text."
        in result.stdout
    )


@pytest.mark.parametrize("timeout", [60, 3600, "60"])
def test_sites_with_other_timeouts_in_one_place_are_a_warning(
    instance, timeout
):
    instance.fill(
        data_dir=instance.sessions.options["data_dir"], timeout=timeout
    )

    result = instance.run("check", "--zope")

    warning = (
        "warning  The sessions of zope.conf and those of /site are kept in "
        "one place, but have different timeouts"
    )
    assert (warning in result.stdout) == (timeout == 60)


def test_a_key_of_a_site_is_not_shown(instance):
    instance.fill(secret="short", key="id of site")

    result = instance.run("check", "--zope", "--json")

    (site,) = json.loads(result.stdout)["sites"]
    assert site["path"] == "/site"
    assert "session.secret has 5 characters" in site["warnings"][0]
    assert "session.key is 'id of site'" in site["errors"][0]
    assert site["stores"] == []
    assert {
        "name": "session.secret",
        "value": "(hidden)",
        "source": "site-local utility",
    } in site["settings"]


def test_a_site_that_knows_no_users_is_warned_of_request_session(instance):
    instance.fill(login_policy="off")
    text = instance.zope_conf.read_text()
    on = "session.zope_session on\nsession.timeout"
    instance.zope_conf.write_text(text.replace("session.timeout", on))

    result = instance.run("check", "--zope")

    assert "warning  /site: session.zope_session is on" in result.stdout


# Looking after sessions


def test_the_sessions_of_each_place_are_counted(filled):
    filled.sessions.make()
    for _ in range(2):
        filled.of_site.make()

    output = filled.run("sessions", "--zope").stdout

    of_zope, _, of_site = output.partition("/site:\n")
    assert of_zope.startswith("zope.conf:\n")
    assert re.search(r"Sessions +1\n", of_zope)
    assert re.search(r"Sessions +2\n", of_site)


def test_a_sweep_goes_by_the_timeouts_of_each_site(filled):
    kept = filled.sessions.make(idle=600)
    filled.of_site.make(idle=600)

    result = filled.run("sweep", "--zope")

    assert result.exit_code == 0, result.output
    assert filled.sessions.ids() == {kept}
    assert filled.of_site.ids() == set()


def test_a_site_in_the_place_of_zope_conf_loses_nothing_too_early(instance):
    instance.fill(data_dir=instance.sessions.options["data_dir"])
    kept = instance.sessions.make(idle=600)

    output = instance.run("sweep", "--zope").stdout

    assert output.startswith("zope.conf, /site:\n")
    assert instance.sessions.ids() == {kept}


def test_a_site_that_cannot_be_swept_does_not_keep_others_from_it(instance):
    instance.fill(timeout="60")
    instance.sessions.make(idle=7200)

    result = instance.run("sweep", "--zope")

    assert result.exit_code == 2
    assert "/site: session.timeout is the text '60'" in result.stderr
    assert instance.sessions.ids() == set()


def test_a_session_is_ended_wherever_it_is(filled):
    id = filled.of_site.make()

    result = filled.run("revoke", "--zope", "--yes", id)

    assert result.exit_code == 0, result.output
    assert filled.of_site.ids() == set()
    assert filled.run("revoke", "--zope", "--yes", id).exit_code == 2


def test_a_session_is_ended_although_another_place_is_down(instance):
    instance.fill()
    text = instance.zope_conf.read_text()
    down = f"ext:redis\nsession.url redis://127.0.0.1:{free_port()}"
    instance.zope_conf.write_text(
        text.replace("session.type file", f"session.type {down}")
    )
    id = instance.of_site.make()

    result = instance.run("revoke", "--zope", "--yes", id)

    assert result.exit_code == 0, result.output
    assert instance.of_site.ids() == set()
    again = instance.run("revoke", "--zope", "--yes", id)
    assert again.exit_code == 2
    assert "zope.conf: The store ext:redis" in again.stderr


def test_a_user_is_known_by_the_secret_of_each_site_in_a_place(instance):
    secrets = "a-secret-of-zope-conf", "a-secret-of-the-site"
    instance.set(secret=secrets[0])
    instance.fill(**instance.sessions.options, secret=secrets[1])
    for secret in secrets:
        instance.begin_session_of_anna(secret=secret)

    result = instance.end_sessions_of_anna()

    assert result.exit_code == 0, result.output
    assert instance.sessions.ids() == set()


def test_a_user_is_known_in_a_place_if_a_site_there_knows_users(instance):
    instance.set(login_policy="off")
    instance.fill(**instance.sessions.options)
    instance.begin_session_of_anna()

    result = instance.end_sessions_of_anna()

    assert result.exit_code == 0, result.output
    assert instance.sessions.ids() == set()


def test_all_sessions_are_ended(filled):
    filled.sessions.make(), filled.of_site.make()

    filled.run("revoke", "--zope", "--all", "--yes")

    assert filled.sessions.ids() | filled.of_site.ids() == set()


# The database


@pytest.fixture
def storage(request, tmp_path):
    """Lines of zope.conf that name a storage."""
    folder = tmp_path / "database"
    if request.param != "ZEO":
        yield {"file": FILE, "RelStorage": RELSTORAGE}[request.param].format(
            path=folder
        )
        return
    port = free_port()
    command = [sys.executable, "-m", "ZEO.runzeo"]
    command += ["-a", f"127.0.0.1:{port}", "-f", str(folder)]
    with running(command, port, tmp_path / "zeo.log"):
        yield ZEO.format(port=port, seconds=30)


@pytest.mark.parametrize(
    "storage", ["file", "ZEO", "RelStorage"], indirect=True
)
def test_each_kind_of_database_is_opened_read_only(
    instance, storage, monkeypatch
):
    pytest.importorskip("relstorage" if "relstorage" in storage else "ZEO")
    instance.use(storage)
    instance.fill()
    read_only = []

    def read_sites(root):
        read_only.append(root._p_jar.isReadOnly())
        return sites(root)

    sites = database.read_sites
    monkeypatch.setattr(database, "read_sites", read_sites)

    assert "/site: session.timeout" in instance.run("check", "--zope").stdout
    assert read_only == [True]


def test_a_site_in_a_mounted_database_is_found(instance, tmp_path):
    module = pytest.importorskip("Products.ZODBMountPoint.MountedObject")
    instance.use(
        f"<zodb_db other>{FILE.format(path=tmp_path / 'other.fs')}"
        "mount-point /mounted\n</zodb_db>\n"
        f"<zodb_db main>{FILE.format(path=tmp_path / 'main.fs')}"
    )
    with instance.stored("/mounted") as root:
        root._setObject("mounted", Folder("mounted"))
        instance.make_site(root.mounted)
    with instance.stored("/") as root:
        mount_point = module.MountedObject("/mounted")
        root.__dict__["mounted"] = mount_point
        root._objects = ({"id": "mounted", "meta_type": "mount point"},)

    output = instance.run("check", "--zope").stdout

    assert "ok       /mounted: session.timeout is 60." in output


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        (FILE, "missing.fs: No such file or directory."),
        (MEMORY, "it holds no Zope application."),
        (ZEO, "ClientDisconnected (is its server running?)."),
    ],
    ids=["file", "memory", "ZEO"],
)
def test_a_database_that_cannot_be_opened_is_an_error(
    instance, storage, told, tmp_path
):
    path = tmp_path / "missing.fs"
    instance.use(storage.format(path=path, port=free_port(), seconds=1))

    for command in ("check", "sweep"):
        result = instance.run(command, "--zope")

        assert result.exit_code == 2
        assert f"in {instance.zope_conf} cannot be opened: " in result.output
        assert told in result.output
