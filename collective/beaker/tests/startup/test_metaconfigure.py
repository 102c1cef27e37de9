"""The ZCML of the package, and the utilities that it registers."""

import logging
import sys
from types import SimpleNamespace

import pytest
from App.config import getConfiguration
from App.config import setConfiguration
from beaker.cache import CacheManager
from beaker.cache import cache_regions
from plone.testing.zca import popGlobalRegistry
from plone.testing.zca import pushGlobalRegistry
from zope.component import getGlobalSiteManager
from zope.component import getUtility
from zope.component import queryUtility
from zope.configuration import xmlconfig
from zope.configuration.exceptions import ConfigurationError

import collective.beaker
from collective.beaker.documentation import DOCUMENTATION
from collective.beaker.interfaces import ICacheManager
from collective.beaker.interfaces import ISessionConfig
from collective.beaker.metaconfigure import defaultSessionConfig


OTHER_ZCML = """\
<configure
    xmlns="http://namespaces.zope.org/zope"
    package="collective.beaker.tests.startup">
  {}
  <include package="zope.component" file="meta.zcml" />
  <utility
      provides="collective.beaker.interfaces.ISessionConfig"
      component=".test_metaconfigure.own_config"
      />
  {}
</configure>
"""

own_config = {"type": "memory", "key": "own"}


@pytest.fixture
def registry():
    """A component registry without the utilities of other tests."""
    outer = getGlobalSiteManager()
    utilities = [
        (outer.queryUtility(provided), provided)
        for provided in (ICacheManager, ISessionConfig)
        if outer.queryUtility(provided) is not None
    ]
    for utility in utilities:
        outer.unregisterUtility(*utility)
    yield pushGlobalRegistry()
    popGlobalRegistry()
    for utility in utilities:
        outer.registerUtility(*utility)


@pytest.fixture
def section(registry):
    """Return a function that sets the beaker section of zope.conf."""
    before = getConfiguration()
    regions = dict(cache_regions)
    configuration = SimpleNamespace(**vars(before))
    setConfiguration(configuration)

    def set_section(settings):
        configuration.product_config = {"beaker": settings}

    yield set_section
    setConfiguration(before)
    cache_regions.clear()
    cache_regions.update(regions)


def load_zcml(execute=True):
    return xmlconfig.file("configure.zcml", collective.beaker, execute=execute)


@pytest.mark.parametrize("sections", [None, {}, {"other": {"a": "b"}}])
def test_without_section_nothing_is_registered(section, sections):
    getConfiguration().product_config = sections
    load_zcml()

    assert queryUtility(ICacheManager) is None
    assert queryUtility(ISessionConfig) is None


def test_without_any_product_config_nothing_is_registered(section):
    if hasattr(getConfiguration(), "product_config"):
        del getConfiguration().product_config
    load_zcml()

    assert queryUtility(ICacheManager) is None


def test_a_session_setting_registers_both_utilities(section):
    section({"session.timeout": "60"})
    load_zcml()

    assert getUtility(ISessionConfig)["timeout"] == 60
    assert isinstance(getUtility(ICacheManager), CacheManager)


def test_a_cache_setting_registers_the_cache_manager_only(section):
    section({"cache.expire": "60"})
    load_zcml()

    assert isinstance(getUtility(ICacheManager), CacheManager)
    assert queryUtility(ISessionConfig) is None


def test_the_session_configuration_is_a_plain_mutable_mapping(section):
    section({"session.auto": "on"})
    load_zcml()

    assert type(getUtility(ISessionConfig)) is dict
    assert getUtility(ISessionConfig) == defaultSessionConfig | {"auto": True}
    assert getUtility(ISessionConfig) is not defaultSessionConfig


def test_nothing_is_registered_while_zcml_is_parsed(section):
    section({"session.auto": "on"})
    context = load_zcml(execute=False)
    assert queryUtility(ISessionConfig) is None

    context.execute_actions()
    assert queryUtility(ISessionConfig) is not None


@pytest.mark.parametrize("place", [0, 1], ids=["before", "after"])
def test_another_packages_utility_overrides_wherever_it_is_included(
    section, place
):
    section({"session.auto": "on"})
    include = ["", ""]
    include[place] = '<include package="collective.beaker" />'
    xmlconfig.string(OTHER_ZCML.format(*include))

    assert getUtility(ISessionConfig) is own_config


def test_what_is_wrong_is_a_configuration_error_with_all_messages(section):
    section({"session.timeout": "ten", "cache.type": "flie"})

    with pytest.raises(ConfigurationError) as error:
        load_zcml()
    assert "session.timeout is 'ten'" in str(error.value)
    assert "cache.type is 'flie'" in str(error.value)
    assert queryUtility(ICacheManager) is None


def test_a_folder_that_cannot_be_used_is_a_configuration_error(
    section, tmp_path
):
    (tmp_path / "file").write_text("")
    section({"session.data_dir": str(tmp_path / "file")})

    with pytest.raises(ConfigurationError, match=r"session\.data_dir is"):
        load_zcml()


def test_a_wrong_value_hides_no_folder_that_cannot_be_used(section, tmp_path):
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file")
    section({"session.timeout": "1h", "session.data_dir": folder})

    with pytest.raises(ConfigurationError) as error:
        load_zcml()

    assert "session.timeout is '1h'" in str(error.value)
    assert f"session.data_dir is {folder!r}" in str(error.value)


def test_folders_are_created_at_start(section, tmp_path):
    section({"session.data_dir": str(tmp_path / "sessions")})
    load_zcml()

    assert (tmp_path / "sessions").is_dir()


def test_warnings_are_logged(section, caplog):
    section({"session.secret": "hush"})
    load_zcml()

    # Plone has something to say, too.
    [record] = [
        each for each in caplog.records if each.name == "collective.beaker"
    ]
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("session.secret has 4 characters")
    assert "hush" not in record.getMessage()


def test_a_warning_ends_with_the_link_of_its_setting(section, caplog):
    section({"session.secret": "hush"})
    load_zcml()

    link = f"{DOCUMENTATION}/options.html#confval-session.secret"
    assert f"See {link}\n" in caplog.text


def test_an_error_ends_with_the_link_of_its_setting(section):
    section({"cache.regions": "short", "cache.short.type": "flie"})

    with pytest.raises(ConfigurationError) as error:
        load_zcml()

    link = f"{DOCUMENTATION}/options.html#confval-cache.type"
    assert f"See {link}" in str(error.value)


def test_a_server_that_is_down_is_no_error(section):
    pytest.importorskip("redis")
    section({"session.type": "ext:redis", "session.url": "redis://[::1]:1"})
    load_zcml()

    assert getUtility(ISessionConfig)["type"] == "ext:redis"


def test_the_directive_has_no_attributes(section):
    section({})
    context = xmlconfig.file("meta.zcml", collective.beaker)

    with pytest.raises(ConfigurationError):
        xmlconfig.string(
            '<configure xmlns="http://namespaces.plone.org/beaker">'
            '<loadConfiguration file="x" /></configure>',
            context,
        )


def test_old_zopes_get_their_publication_events_from_a_backport(
    section, monkeypatch
):
    monkeypatch.setitem(sys.modules, "ZPublisher.interfaces", None)

    with pytest.raises(ConfigurationError, match="ZPublisherEventsBackport"):
        load_zcml()
