"""The settings of a layer, and what it restores in Beaker."""

import App.config
import pytest
from beaker.cache import CacheManager
from beaker.cache import cache_managers
from beaker.cache import cache_region
from beaker.cache import cache_regions
from beaker.container import MemoryNamespaceManager

from collective.beaker.testing import BeakerConfigLayer


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
