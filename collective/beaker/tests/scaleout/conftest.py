import subprocess
from types import SimpleNamespace

import pytest

from collective.beaker.tests.helpers.servers import find_program
from collective.beaker.tests.helpers.servers import redis_cluster
from collective.beaker.tests.helpers.sites import STORES
from collective.beaker.tests.helpers.sites import ZOPES
from collective.beaker.tests.helpers.sites import Site
from collective.beaker.tests.helpers.sites import proxy_before
from collective.beaker.tests.helpers.sites import zopes_on


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The nodes of a Redis Cluster: three masters, then their replicas."""
    folder = tmp_path_factory.mktemp("cluster")
    with redis_cluster(folder, replicas=1) as servers:
        yield servers


@pytest.fixture(scope="module")
def cluster(nodes):
    return SimpleNamespace(url=",".join(node.url for node in nodes))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return SimpleNamespace(url=str(tmp_path_factory.mktemp("files")))


@pytest.fixture(scope="module", params=STORES)
def whole_site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    address = request.getfixturevalue(request.param).url
    with (
        zopes_on(folder, STORES[request.param], address) as zopes,
        proxy_before(zopes, folder) as proxy,
    ):
        yield Site(zopes, proxy)


@pytest.fixture
def site(whole_site):
    """A site whose Zopes are all there; a test may have ended one."""
    for zope in whole_site.zopes:
        zope.start()
    whole_site.wait_until_served_by(ZOPES)
    return whole_site


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory):
    """Return a function that makes a certificate, which signs itself."""

    def make_certificate(name, host="IP:127.0.0.1"):
        folder = tmp_path_factory.mktemp(name)
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            [
                *(find_program("openssl"), "req", "-x509", "-nodes"),
                *("-newkey", "rsa:2048", "-days", "2"),
                *("-subj", f"/CN={name}", "-addext", f"subjectAltName={host}"),
                *("-keyout", key, "-out", certificate),
            ],
            check=True,
            capture_output=True,
        )
        return certificate, key

    return make_certificate
