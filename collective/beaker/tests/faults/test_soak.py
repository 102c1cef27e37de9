"""Sessions in memory do not fill it."""

import subprocess
import sys
from pathlib import Path

import pytest

from collective.beaker.tests.helpers import soak


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="Linux tells the memory"
)
def test_with_a_timeout_memory_does_not_grow_with_the_number_of_visitors():
    run = subprocess.run(
        [sys.executable, "-m", soak.__name__, "5000", "50000"],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    early, late = map(int, run.stdout.split())

    assert late <= 1.1 * early
