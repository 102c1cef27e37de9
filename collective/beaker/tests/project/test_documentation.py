"""The documentation: its pages build, and what they show holds."""

import configparser
import re
import subprocess
import sys
from collections.abc import Iterable
from doctest import ELLIPSIS
from doctest import NORMALIZE_WHITESPACE
from doctest import OutputChecker
from pathlib import Path
from secrets import token_hex
from wsgiref.util import setup_testing_defaults

import pytest
import ZConfig
from beaker.cache import cache_regions
from click.testing import CliRunner
from OFS.Folder import Folder
from zope.component.persistentregistry import PersistentComponents
from zope.configuration import xmlconfig
from Zope2.Startup.options import ZopeWSGIOptions
from ZPublisher.HTTPRequest import WSGIRequest
from ZPublisher.HTTPResponse import WSGIResponse

from collective.beaker.caching.factory import region_with
from collective.beaker.cli import main
from collective.beaker.documentation import DOCUMENTATION
from collective.beaker.session import closeSession
from collective.beaker.session import initializeSession
from collective.beaker.settings.backends import BACKENDS
from collective.beaker.settings.keys import EXAMPLE_KEY
from collective.beaker.settings.links import setting_url
from collective.beaker.settings.options import CACHE_OPTIONS
from collective.beaker.settings.options import METRICS_OPTIONS
from collective.beaker.settings.options import SESSION_OPTIONS
from collective.beaker.settings.options import WHOLE_CACHE_OPTIONS
from collective.beaker.settings.section import Configuration
from collective.beaker.settings.section import read_configuration
from collective.beaker.settings.zope_conf import read_zope_conf
from collective.beaker.tests.helpers.screens import PHONE
from collective.beaker.tests.helpers.screens import WIDE
from collective.beaker.tests.helpers.stored_sessions import Sessions
from collective.beaker.tests.helpers.zope import ZOPE_CONF


pytest.importorskip("sphinx")
sybil = pytest.importorskip("sybil")
rest = pytest.importorskip("sybil.parsers.rest")

ROOT = Path(__file__).parents[4]
DOCS = ROOT / "docs"
SHOP = ROOT / "examples" / "shop" / "src"
TEST_MODULE = DOCS / "testing.rst"
OPERATIONS = DOCS / "operations.rst"
PAGES = sorted({*ROOT.glob("*.rst"), *DOCS.glob("*.rst")} - {TEST_MODULE})

pytestmark = pytest.mark.skipif(
    not (DOCS / "conf.py").exists(),
    reason="an installed package comes without its documentation",
)


def run(module: str, *arguments: object) -> str:
    """Run a module as a command; return its output."""
    result = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation as a site, built without a warning."""
    folder = tmp_path_factory.mktemp("site")
    run("sphinx", "-W", "--keep-going", "-n", "-q", DOCS, folder)
    return folder


@pytest.mark.product
def test_the_pages_build_without_a_warning(site):
    assert (site / "index.html").exists()


@pytest.mark.product
def test_each_setting_has_a_permanent_link(site):
    page = (site / "options.html").read_text()
    address = f"{DOCUMENTATION}/options.html#"

    for setting, anchor in (
        *((f"session.{o}", f"confval-session.{o}") for o in SESSION_OPTIONS),
        *((f"cache.fast.{o}", f"confval-cache.{o}") for o in CACHE_OPTIONS),
        ("cache.regions", "confval-cache.regions"),
        ("metrics.token", "confval-metrics.token"),
        ("cache.fast.url", "backend-options"),
    ):
        assert setting_url(setting) == address + anchor
        assert f'id="{anchor}"' in page


@pytest.mark.product
def test_the_index_has_each_setting(site):
    index = (site / "genindex.html").read_text()

    for option in SESSION_OPTIONS:
        assert f'href="options.html#confval-session.{option}"' in index


LOOKS = [
    {"color_scheme": scheme, "viewport": screen}
    for scheme in ("light", "dark")
    for screen in (WIDE, PHONE)
]


@pytest.mark.product
@pytest.mark.parametrize("name", ["index", "options", "search", "stores"])
def test_a_page_is_accessible_and_fits(name, site, chromium):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")

    for look in LOOKS:
        with chromium.new_context(**look) as context:
            page = context.new_page()
            page.goto((site / f"{name}.html").as_uri())
            width = page.evaluate("document.documentElement.scrollWidth")
            found = axe.Axe().run(page)

        assert found.response["violations"] == [], found.generate_report()
        assert width == look["viewport"]["width"]


def test_every_option_is_explained():
    page = (DOCS / "options.rst").read_text()
    entries = set(re.findall(r"(?m)^\.\. confval:: (.+)$", page))
    terms = set(re.findall(r"(?m)^``.+$", page))

    assert entries == {
        *(f"session.{option}" for option in SESSION_OPTIONS),
        *(f"cache.{option}" for option in (*CACHE_OPTIONS, "regions")),
        *(f"cache.{option}" for option in WHOLE_CACHE_OPTIONS),
        *(f"metrics.{option}" for option in METRICS_OPTIONS),
    }
    for backend in BACKENDS.values():
        for option in backend.options:
            assert any(f"``{option}``" in term for term in terms), option


# What the pages show


class Settings:
    """The blocks of settings on a page, and those of what Zope says to them.

    Zope has nothing to say to a block of settings (``apacheconf``, or ``ini``
    for buildout), unless a block of ``output`` follows that shows it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.said: list[str] = []

    def read_zope_conf(self, example: sybil.Example) -> str | None:
        return self._read([example.parsed])

    def read_buildout_cfg(self, example: sybil.Example) -> str | None:
        parser = configparser.ConfigParser(
            delimiters="=", interpolation=None, allow_no_value=True
        )
        parser.read_string(example.parsed)
        return self._read(
            part["zope-conf-additional"].replace("${buildout:directory}", "/")
            for part in parser.values()
            if "zope-conf-additional" in part
        )

    def read_instance_yaml(self, example: sybil.Example) -> str | None:
        """Read what cookiecutter-zope-instance makes a section of."""
        _, found, lines = example.parsed.partition("    beaker:\n")
        if not found:
            return None
        lines = lines.replace("$INSTANCEHOME", "$INSTANCE")
        return self._read([re.sub("(?m)^( +\\S+): ", r"\1 ", lines)])

    def compare_output(self, example: sybil.Example) -> str | None:
        said, self.said = " ".join(self.said), []
        if example.parsed.split() != said.split():
            return f"What is said to the settings is: {said}"
        return None

    def _read(self, sections: Iterable[str]) -> str | None:
        unshown, self.said = self.said, []
        for section in sections:
            self.said += self._messages(section)
        return f"No output shows: {unshown}" if unshown else None

    def _messages(self, section: str) -> list[str]:
        """Read a section, or the lines of one, as Zope does at start-up.

        Whoever takes it from a page writes a key of their own.
        """
        section = section.replace(EXAMPLE_KEY, token_hex())
        if "<product-config" not in section:
            section = f"<product-config beaker>\n{section}\n</product-config>"
        zope_conf = self.folder / "zope.conf"
        zope_conf.write_text(
            ZOPE_CONF.format(instance=self.folder, section=section)
        )
        try:
            options = ZopeWSGIOptions(configfile=str(zope_conf))()
        except ZConfig.ConfigurationError as error:
            return [error.message]
        sections = options.configroot.product_config
        found = read_configuration(sections.get("beaker"))
        return found.errors + found.warnings


def read_zcml(example: sybil.Example) -> None:
    """Read ZCML, and what it includes, without executing it."""
    zcml = example.parsed
    if "<configure" not in zcml:
        namespace = "http://namespaces.zope.org/zope"
        meta = '<include package="Products.Five" file="meta.zcml" />'
        zcml = f'<configure xmlns="{namespace}">{meta}{zcml}</configure>'
    xmlconfig.string(zcml, execute=False)


def parse(page: Path, settings: Settings) -> sybil.Document:
    parsers = [
        rest.SkipParser(),
        rest.CodeBlockParser("apacheconf", settings.read_zope_conf),
        rest.CodeBlockParser("ini", settings.read_buildout_cfg),
        rest.CodeBlockParser("yaml", settings.read_instance_yaml),
        rest.CodeBlockParser("output", settings.compare_output),
        rest.CodeBlockParser("xml", read_zcml),
        rest.DocTestParser(ELLIPSIS | NORMALIZE_WHITESPACE),
        rest.PythonCodeBlockParser(),
    ]
    return sybil.Sybil(parsers).parse(page)


@pytest.fixture
def request_(config):
    """A request that has a session, as each has in a running Zope."""
    environ: dict = {}
    setup_testing_defaults(environ)
    request = WSGIRequest(environ["wsgi.input"], environ, WSGIResponse())
    initializeSession(request)
    yield request
    closeSession(request)


@pytest.fixture
def names(request_, monkeypatch):
    """What the examples take for granted."""
    monkeypatch.setenv("SESSION_SECRET", "a-secret-of-the-examples")
    monkeypatch.setenv("SESSION_URL", "redis://localhost:6379/0")
    monkeypatch.setenv("CACHE_URL", "redis://localhost:6379/1")
    monkeypatch.setitem(cache_regions, "short", {**cache_regions["long"]})
    monkeypatch.syspath_prepend(SHOP)
    site = Folder("site")
    site.setSiteManager(PersistentComponents())
    return {"request": request_, "site": site}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_hold(page, names, tmp_path):
    settings = Settings(tmp_path)
    document = parse(page, settings)
    document.namespace.update(names)

    for example in document.examples():
        example.evaluate()

    assert settings.said == [], "no output shows this"


def run_commands(example: sybil.Example) -> str | None:
    """Run what a block shows of the command; compare what it prints."""
    for session in example.parsed.split("$ ")[1:]:
        command, _, expected = session.partition("\n")
        name, *arguments = command.split()
        if name != "collective-beaker":
            continue
        result = CliRunner().invoke(main, arguments, prog_name=name)
        flags = ELLIPSIS | NORMALIZE_WHITESPACE
        as_shown = OutputChecker().check_output(
            _unmeasured(expected or "..."), _unmeasured(result.stdout), flags
        )
        if result.exit_code or not as_shown:
            return f"What {command} prints is: {result.output}"
    return None


def _unmeasured(text: str) -> str:
    """Leave out what is another number each time."""
    return re.sub("[0-9.,]+ (ms|kB|bytes)", r"N \1", text)


def fill(demo: Configuration) -> None:
    """Store what visitors of the demo might have left."""
    sessions = Sessions(demo.session)
    for idle in (0, 0, 120, 7200):
        sessions.make(idle, city="Lisbon")
    sessions.make(cities="".join(map(str, range(1000))))
    region = region_with("short", demo.regions["short"])
    region.put("numbers", b"number", 1, 60)


def test_the_commands_can_be_typed_in_the_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT / "demo")
    monkeypatch.setenv("DEMO_HOME", str(ROOT / "demo"))
    monkeypatch.setenv("DEMO_VAR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    fill(read_configuration(read_zope_conf("etc/zope.conf").section))
    commands = rest.CodeBlockParser("console", run_commands)

    examples = list(sybil.Sybil([commands]).parse(OPERATIONS).examples())
    for example in examples:
        example.evaluate()

    shown = "".join(example.parsed for example in examples)
    for command in main.commands:
        assert f"$ collective-beaker {command} --help\n" in shown


def test_the_examples_of_the_page_on_testing_are_a_test_module(tmp_path):
    pytest.importorskip("zope.testrunner")
    blocks = parse(TEST_MODULE, Settings(tmp_path)).examples()
    module = "\n".join(block.parsed for block in blocks)
    (tmp_path / "test_page.py").write_text(module)

    output = run(
        "zope.testrunner",
        "--path",
        tmp_path,
        "--path",
        SHOP,
        "--tests-pattern",
        "test_page",
    )

    assert re.search("Total: [1-9]", output), output
