"""What the package offers to tests, collected and imported."""

import subprocess
import sys
from pathlib import Path

import pytest

import collective.beaker.testing


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


IMPORT_MODULES = """\
import collective.beaker.interfaces
import collective.beaker.metaconfigure
import collective.beaker.session
import collective.beaker.testing
"""


def test_modules_import_without_plone():
    result = run_python("-c", WITHOUT_PLONE + IMPORT_MODULES)
    assert result.stderr == ""


IMPORT_LAYERS = """\
from collective.beaker import testing
for name in sys.argv[1:]:
    try:
        getattr(testing, name)
    except ImportError as error:
        print(error)
"""


def test_layers_name_what_to_install():
    names = [
        "BEAKER_FIXTURE",
        "BEAKER_INTEGRATION_TESTING",
        "BEAKER_FUNCTIONAL_TESTING",
    ]
    result = run_python("-c", WITHOUT_PLONE + IMPORT_LAYERS, *names)
    messages = result.stdout.splitlines()
    for name, message in zip(names, messages, strict=True):
        assert message.startswith(f"collective.beaker.testing.{name}")
        assert "plone.app.testing" in message
        assert "plone.testing[zope]" in message


def test_other_names_are_unknown_as_usual():
    with pytest.raises(AttributeError, match="no attribute 'BEAKER'"):
        collective.beaker.testing.BEAKER
