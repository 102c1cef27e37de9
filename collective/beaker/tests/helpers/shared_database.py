"""One database for several Zopes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collective.beaker.tests.helpers.servers import free_port
from collective.beaker.tests.helpers.servers import running


ZEO_CLIENT = """\
%import ZEO
<zodb_db main>
    <clientstorage>
        server 127.0.0.1:{port}
    </clientstorage>
    mount-point /
</zodb_db>
"""


@contextmanager
def zeo_database(folder: Path) -> Iterator[str]:
    """Serve a database with ZEO; yield the lines of zope.conf for it."""
    port = free_port()
    command = [sys.executable, "-m", "ZEO.runzeo"]
    command += ["-a", f"127.0.0.1:{port}", "-f", str(folder / "fs")]
    with running(command, port, folder / "zeo.log"):
        yield ZEO_CLIENT.format(port=port)


def use_database(zope_conf: Path, database: str) -> None:
    """Replace the database of an instance by these lines."""
    before, _, rest = zope_conf.read_text().partition("<zodb_db main>")
    after = rest.partition("</zodb_db>")[2]
    zope_conf.write_text(f"{before}{database}{after}")
