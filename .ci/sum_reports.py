"""Add up the test reports below some folders: ``N passed, N failed``."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def count(report: Path) -> tuple[int, int]:
    """Return how many tests of a JUnit report passed, and how many failed."""
    passed = failed = 0
    for case in ElementTree.parse(report).iter("testcase"):
        outcomes = {child.tag for child in case}
        if outcomes & {"error", "failure"}:
            failed += 1
        elif "skipped" not in outcomes:
            passed += 1
    return passed, failed


def main(*folders: str) -> None:
    reports = [
        report
        for folder in folders
        for report in Path(folder).glob("**/*.xml")
    ]
    counts = [count(report) for report in reports]
    passed = sum(passed for passed, _ in counts)
    failed = sum(failed for _, failed in counts)
    print(f"{passed} passed, {failed} failed")


if __name__ == "__main__":
    main(*sys.argv[1:])
