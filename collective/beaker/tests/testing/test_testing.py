"""Tests of what the package offers to tests."""

import gc
import subprocess
import sys
import time
import weakref
from io import BytesIO
from pathlib import Path

import App.config
import pytest
from beaker.cache import CacheManager
from beaker.cache import cache_managers
from beaker.cache import cache_region
from beaker.cache import cache_regions
from beaker.container import MemoryNamespaceManager
from zope.component import getGlobalSiteManager
from zope.component import provideAdapter
from zope.interface.verify import verifyObject
from zope.publisher import browser
from zope.publisher.interfaces import IRequest
from ZPublisher.HTTPRequest import HTTPRequest
from ZPublisher.HTTPResponse import HTTPResponse

import collective.beaker
from collective.beaker.interfaces import ENVIRON_KEY
from collective.beaker.interfaces import ISession
from collective.beaker.testing import BeakerConfigLayer
from collective.beaker.testing import TestSession
from collective.beaker.testing import testingSession


class FileLayer(BeakerConfigLayer):
    """A layer with settings of its own."""

    zconfigData = {"session.type": "file", "session.data_dir": "sessions"}


@pytest.fixture
def config():
    """Zope's configuration, which no zope.conf was read for."""
    before = App.config._config
    App.config.setConfiguration(None)
    yield App.config.getConfiguration()
    App.config.setConfiguration(before)


@pytest.fixture
def layer(config):
    """BeakerConfigLayer, set up for the test."""
    BeakerConfigLayer.setUp()
    yield BeakerConfigLayer
    BeakerConfigLayer.tearDown()


def publisher_request():
    environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    return HTTPRequest(BytesIO(), environ, HTTPResponse())


# The layer's product configuration


def test_layer_provides_its_settings(layer, config):
    assert config.product_config == {"beaker": layer.zconfigData}


def test_layer_provides_a_copy_of_its_settings(layer, config):
    config.product_config["beaker"]["session.key"] = "changed"
    assert layer.zconfigData["session.key"] == "beaker.session"


def test_layer_is_kept_by_a_fresh_lookup_of_the_configuration(layer):
    config = App.config.getConfiguration()
    assert "beaker" in config.product_config


def test_layer_removes_the_attribute_that_it_added(config):
    BeakerConfigLayer.setUp()
    BeakerConfigLayer.tearDown()
    assert not hasattr(config, "product_config")


def test_layer_keeps_a_product_configuration_that_was_there(config):
    config.product_config = before = {"other": {"key": "value"}}
    BeakerConfigLayer.setUp()
    assert config.product_config["other"] == {"key": "value"}
    BeakerConfigLayer.tearDown()
    assert config.product_config is before
    assert before == {"other": {"key": "value"}}


def test_layer_puts_back_an_empty_product_configuration(config):
    config.product_config = {}
    BeakerConfigLayer.setUp()
    BeakerConfigLayer.tearDown()
    assert config.product_config == {}


def test_layer_puts_back_the_beaker_section_that_was_there(config):
    section = {"session.type": "file"}
    config.product_config = {"beaker": section}
    BeakerConfigLayer.setUp()
    config.product_config["beaker"]["session.key"] = "changed"
    BeakerConfigLayer.tearDown()
    assert config.product_config["beaker"] is section
    assert section == {"session.type": "file"}


def test_layer_keeps_what_others_added_in_the_meantime(config):
    BeakerConfigLayer.setUp()
    config.product_config["other"] = {}
    BeakerConfigLayer.tearDown()
    assert config.product_config == {"other": {}}


def test_layer_lets_a_test_remove_the_section(config):
    BeakerConfigLayer.setUp()
    del config.product_config["beaker"]
    BeakerConfigLayer.tearDown()
    assert not hasattr(config, "product_config")


def test_layer_cleans_the_configuration_that_it_changed(config):
    BeakerConfigLayer.setUp()
    App.config.setConfiguration(App.config.DefaultConfiguration())
    BeakerConfigLayer.tearDown()
    assert not hasattr(config, "product_config")
    assert not hasattr(App.config.getConfiguration(), "product_config")


def test_subclass_provides_its_own_settings(config):
    FileLayer.setUp()
    assert config.product_config["beaker"] == FileLayer.zconfigData
    FileLayer.tearDown()


def test_layers_nest(config):
    BeakerConfigLayer.setUp()
    FileLayer.setUp()
    FileLayer.tearDown()
    assert config.product_config["beaker"] == BeakerConfigLayer.zconfigData
    BeakerConfigLayer.tearDown()
    assert not hasattr(config, "product_config")


def test_layers_may_be_torn_down_in_another_order(config):
    BeakerConfigLayer.setUp()
    FileLayer.setUp()
    BeakerConfigLayer.tearDown()
    FileLayer.tearDown()
    assert not hasattr(config, "product_config")


def test_tear_down_without_set_up_says_what_to_do(config):
    with pytest.raises(RuntimeError, match="setUp before its tearDown"):
        BeakerConfigLayer.tearDown()


# What the layer restores in Beaker


def test_layer_restores_the_regions(config, monkeypatch):
    monkeypatch.setitem(cache_regions, "short", {"expire": 5})
    before = dict(cache_regions)
    BeakerConfigLayer.setUp()
    CacheManager(cache_regions={"short": {"expire": 60}, "new": {}})
    BeakerConfigLayer.tearDown()
    assert cache_regions == before


def test_layer_restores_the_caches(config):
    before = dict(cache_managers)
    BeakerConfigLayer.setUp()
    CacheManager().get_cache("restored").put("key", "value")
    BeakerConfigLayer.tearDown()
    assert cache_managers == before


def test_layer_forgets_what_was_cached_in_memory(config):
    memory = MemoryNamespaceManager.namespaces.dict
    before = dict(memory)
    BeakerConfigLayer.setUp()
    CacheManager().get_cache("forgotten").put("key", "value")
    BeakerConfigLayer.tearDown()
    assert memory == before
    assert "key" not in CacheManager().get_cache("forgotten")


def test_layer_keeps_what_was_cached_before(config):
    CacheManager().get_cache("before").put("key", "value")
    BeakerConfigLayer.setUp()
    BeakerConfigLayer.tearDown()
    assert CacheManager().get_cache("before").get("key") == "value"


def test_layer_forgets_what_a_region_decorator_cached(config):
    calls = []

    @cache_region("short")
    def cached():
        calls.append("called")

    for _ in range(2):
        BeakerConfigLayer.setUp()
        CacheManager(cache_regions={"short": {"type": "memory"}})
        cached()
        cached()
        BeakerConfigLayer.tearDown()
    assert calls == ["called", "called"]


RUN_LAYERS = """\
import sys
from App.config import getConfiguration
from beaker.cache import cache_managers
from beaker.cache import cache_regions
from zope.testrunner import run_internal

def state():
    configuration = vars(getConfiguration())
    return dict(configuration), dict(cache_regions), dict(cache_managers)

before = state()
failed = run_internal([], ["zope-testrunner", *sys.argv[1:]])
assert not failed
assert state() == before
"""


def test_layers_leave_no_trace_in_a_test_runner():
    result = run_python(
        *("-c", RUN_LAYERS),
        *("--test-path", Path(collective.beaker.__file__).parents[2]),
        *("--package", "collective.beaker.tests"),
        *("--tests-pattern", "test_layers", "--layer", "test_layers"),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tear down" in result.stdout


# TestSession

OPERATIONS = {
    "getitem": lambda session: session["a"],
    "setitem": lambda session: session.__setitem__("b", 2),
    "delitem": lambda session: session.__delitem__("a"),
    "contains": lambda session: "z" in session,
    "iter": iter,
    "len": len,
    "has_key": lambda session: session.has_key("z"),
    "get": lambda session: session.get("z"),
    "setdefault": lambda session: session.setdefault("a", 2),
    "pop": lambda session: session.pop("z", None),
    "popitem": lambda session: session.popitem(),
    "update": lambda session: session.update(),
    "clear": lambda session: session.clear(),
    "keys": lambda session: session.keys(),
    "values": lambda session: session.values(),
    "items": lambda session: session.items(),
    "eq": lambda session: session == {},
}


def test_session_has_all_that_a_session_promises():
    assert verifyObject(ISession, TestSession())


def test_session_acts_as_a_dictionary():
    session = TestSession({"a": 1}, b=2)
    session["c"] = 3
    session.update({"d": 4}, e=5)
    del session["a"]
    assert session.pop("b") == 2
    assert session.pop("b", None) is None
    assert session.setdefault("c", 0) == 3
    assert session.setdefault("f", 6) == 6
    assert session.get("a", 0) == 0
    assert session.has_key("c") and not session.has_key("a")
    assert list(session.keys()) == list(session) == ["c", "d", "e", "f"]
    assert list(session.values()) == [3, 4, 5, 6]
    assert dict(session.items()) == session == dict(session)
    assert len(session) == 4
    assert repr(session) == "TestSession({'c': 3, 'd': 4, 'e': 5, 'f': 6})"


@pytest.mark.parametrize("method", ["__getitem__", "__delitem__", "pop"])
def test_session_raises_key_error(method):
    with pytest.raises(KeyError):
        getattr(TestSession(), method)("missing")


def test_session_can_be_emptied_key_by_key():
    session = TestSession(a=1, b=2)
    for key in list(session.keys()):
        del session[key]
    assert session == {}


def test_session_is_true_though_empty():
    assert TestSession()


def test_session_was_not_used_at_first():
    session = TestSession(a=1)
    assert session.accessed() is False
    assert session.last_accessed is None
    assert (session._saved, session._deleted, session._invalidated) == (
        False,
        False,
        False,
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_session_notes_each_operation(name):
    session = TestSession(a=1)
    before = time.time()
    OPERATIONS[name](session)
    assert session.accessed() is True
    assert before <= session.last_accessed <= time.time()


def test_session_notes_save():
    session = TestSession(a=1)
    session.save()
    assert session._saved is True
    assert session == {"a": 1}
    assert TestSession._saved is False


def test_session_notes_delete():
    session = TestSession(a=1)
    session.delete()
    assert session._deleted is True
    assert session == {}


def test_session_notes_invalidate():
    session = TestSession(a=1)
    session.invalidate()
    assert session._invalidated is True
    assert session.accessed() is True


def test_invalidated_session_is_a_new_and_empty_one():
    session = TestSession(a=1)
    session.is_new = False
    before = session.id
    session.invalidate()
    assert session == {}
    assert session.id != before
    assert session.is_new is True


def test_regenerated_session_keeps_its_data():
    session = TestSession(a=1)
    before = session.id
    session.regenerate_id()
    assert session.id != before
    assert session == {"a": 1}


def test_session_has_attributes_like_a_new_one_of_beaker():
    before = time.time()
    session = TestSession()
    assert int(session.id, 16) and len(session.id) == 32
    assert before <= session.created <= time.time()
    assert session.is_new is True
    assert session.domain is None
    assert session.path == "/"


def test_sessions_differ_in_id():
    assert TestSession().id != TestSession().id


def test_session_finds_itself_by_id_and_no_other():
    session = TestSession()
    assert session.get_by_id(session.id) is session
    assert session.get_by_id("another") is None


# testingSession


@pytest.fixture
def adapted():
    """The adapter, registered in place of the one that may be there."""
    components = getGlobalSiteManager()
    before = components.adapters.registered((IRequest,), ISession)
    provideAdapter(testingSession)
    yield
    components.unregisterAdapter(testingSession)
    if before is not None:
        provideAdapter(before)


REQUESTS = pytest.mark.parametrize(
    "make_request", [browser.TestRequest, publisher_request]
)


@REQUESTS
def test_adapter_gives_a_test_session(adapted, make_request):
    assert isinstance(ISession(make_request()), TestSession)


@REQUESTS
def test_adapter_gives_one_session_for_one_request(adapted, make_request):
    request = make_request()
    assert ISession(request) is ISession(request)


@REQUESTS
def test_adapter_gives_another_session_for_another(adapted, make_request):
    request, other = make_request(), make_request()
    ISession(request)["a"] = 1
    assert ISession(other) is not ISession(request)
    assert "a" not in ISession(other)


@REQUESTS
def test_adapter_keeps_neither_request_nor_session(adapted, make_request):
    request = make_request()
    session = weakref.ref(ISession(request))
    del request
    gc.collect()
    assert session() is None


def test_adapter_puts_the_session_into_the_environment(adapted):
    request = publisher_request()
    session = ISession(request)
    assert request.environ[ENVIRON_KEY] is session


def test_adapter_goes_before_another_session_in_the_environment(adapted):
    request = publisher_request()
    request.environ[ENVIRON_KEY] = {}
    assert isinstance(ISession(request), TestSession)
    assert ISession(request) is ISession(request)


def test_adapter_is_for_requests_only(adapted):
    assert ISession(object(), None) is None


# Collection and import


def run_python(*args, **kwargs):
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, **kwargs
    )


def test_pytest_takes_none_of_it_for_tests(tmp_path):
    (tmp_path / "test_user.py").write_text(
        "from collective.beaker.testing import BeakerConfigLayer\n"
        "from collective.beaker.testing import TestSession\n"
        "from collective.beaker.testing import testingSession\n"
        "def test_one(): pass\n"
    )
    result = run_python(
        "-m", "pytest", "-W", "error", "--rootdir", tmp_path, tmp_path
    )
    assert "1 passed" in result.stdout
    assert "warning" not in result.stdout


WITHOUT_PLONE = """\
import sys
for name in list(sys.modules):
    if name.startswith("plone."):
        del sys.modules[name]
sys.modules["plone"] = None
"""


@pytest.mark.parametrize(
    "name", ["interfaces", "metaconfigure", "session", "testing"]
)
def test_modules_import_without_plone(name):
    result = run_python(
        "-c", f"{WITHOUT_PLONE}import collective.beaker.{name}"
    )
    assert result.stderr == ""


@pytest.mark.parametrize(
    "name",
    [
        "BEAKER_FIXTURE",
        "BEAKER_INTEGRATION_TESTING",
        "BEAKER_FUNCTIONAL_TESTING",
    ],
)
def test_layers_name_what_to_install(name):
    result = run_python(
        "-c",
        f"{WITHOUT_PLONE}from collective.beaker.testing import {name}",
    )
    message = result.stderr.splitlines()[-1]
    assert message.startswith(f"ImportError: collective.beaker.testing.{name}")
    assert "plone.app.testing" in message
    assert "plone.testing[zope]" in message


def test_other_names_are_unknown_as_usual():
    with pytest.raises(AttributeError, match="no attribute 'BEAKER'"):
        collective.beaker.testing.BEAKER
