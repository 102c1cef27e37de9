import pytest

from collective.beaker.tests.helpers.newcomers import build_wheel
from collective.beaker.tests.helpers.newcomers import environment_with


@pytest.fixture(scope="session")
def wheels(tmp_path_factory):
    """The folder of a wheel of this clone."""
    return build_wheel(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def environment(wheels):
    """An environment in which pip and uv find that wheel."""
    return environment_with(wheels)
