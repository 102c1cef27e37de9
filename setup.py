from pathlib import Path

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


# Everything else is in pyproject.toml.
setup(cmdclass={"bdist_wheel": BuildoutWheel})
