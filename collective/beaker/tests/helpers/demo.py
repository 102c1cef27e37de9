"""The demo in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import pytest

from collective.beaker.tests.helpers.waiting import limited


DEMO = Path(__file__).parents[4] / "demo"


class Demo:
    """The demo in a process of its own, and what it prints."""

    def __init__(self, folder, port="0"):
        self.folder = folder
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, DEMO / "run.py", port],
            env=os.environ | {"DEMO_VAR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def read_line(self):
        """Return the next line that is printed; end a demo that hangs."""
        with limited(self.process):
            return self.process.stdout.readline()

    @cached_property
    def address(self):
        """The address that is printed, once the demo can be visited."""
        while line := self.read_line():
            self.said += line
            if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                return match[0]
        pytest.fail(f"The demo printed no address:\n{self.said}")

    def press_ctrl_c(self):
        self.process.send_signal(signal.SIGINT)

    def end(self):
        """Wait for the end; return the exit status and the last output."""
        with limited(self.process):
            output, _ = self.process.communicate()
        return self.process.returncode, output

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
