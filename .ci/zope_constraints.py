"""Write the constraints.txt that a release of Zope was tested with.

    python zope_constraints.py 6.3 constraints.txt

It comes from Zope's sdist, so only a package index is needed.
"""

import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory


def download_sdist(version: str, folder: Path) -> Path:
    """Download the sdist of a release of Zope; return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet"]
    options = ["--no-deps", "--no-binary", "Zope", "--dest", str(folder)]
    subprocess.run([*pip, *options, f"Zope=={version}"], check=True)
    (sdist,) = folder.glob("*.tar.gz")
    return sdist


def read_constraints(sdist: Path) -> bytes:
    """Return the constraints.txt of an sdist."""
    with tarfile.open(sdist) as archive:
        (name,) = (
            name
            for name in archive.getnames()
            if name.count("/") == 1 and name.endswith("/constraints.txt")
        )
        return archive.extractfile(name).read()


def main(version: str, target: str) -> None:
    with TemporaryDirectory() as folder:
        sdist = download_sdist(version, Path(folder))
        Path(target).write_bytes(read_constraints(sdist))


if __name__ == "__main__":
    main(*sys.argv[1:])
