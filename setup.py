import re
from pathlib import Path
from runpy import run_path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel


class BuildoutWheel(bdist_wheel):
    """Spell the extra in a way that buildout finds.

    In a wheel, setuptools writes "Zope2.10" as "zope2-10".  Installers take
    both for the same, but buildout (as of 6.0.1) looks for "zope2.10" and
    knows nothing of dots and dashes.
    """

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        metadata = Path(distinfo_path, "METADATA")
        text = metadata.read_text(encoding="utf-8")
        text = text.replace("Extra: zope2-10", "Extra: Zope2.10")
        metadata.write_text(text, encoding="utf-8")


PROJECT = Path(__file__).parent


def description() -> str:
    """Return the README and the changes as a package index shows them.

    In a clone the links of the README lead to files.  Here they lead to the
    documentation, or nowhere where it has no such page.
    """
    constants = run_path(str(PROJECT / "collective/beaker/documentation.py"))
    site = constants["DOCUMENTATION"]
    readme, changes = (
        (PROJECT / name).read_text(encoding="utf-8")
        for name in ("README.rst", "CHANGES.rst")
    )
    readme = re.sub(r"<docs/([\w-]+)\.rst>", rf"<{site}/\1.html>", readme)
    readme = readme.replace(" docs/images/", f" {site}/_images/")
    readme = re.sub(r"`([^`<]+) <[A-Z]+\.rst>`__", r"\1", readme)
    return f"{readme}\n{changes}"


# Everything else is in pyproject.toml.
setup(
    cmdclass={"bdist_wheel": BuildoutWheel},
    long_description=description(),
    long_description_content_type="text/x-rst",
)
