"""Real servers for the tests: each on a free loopback port, for one test run.

A server is ended by the test run that started it.  Where its program is not
installed, the tests that need it are skipped, and say so.
"""

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import ExitStack
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX
from fcntl import LOCK_NB
from fcntl import flock
from glob import glob
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import NullPool
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from collective.beaker.tests.helpers.waiting import SECONDS
from collective.beaker.tests.helpers.waiting import wait_until


Certificate = tuple[Path, Path]
"""The files of a certificate, which signs itself, and of its key."""


class Server:
    """A program that serves on a port, and can be started there again.

    What Redis or a database has stored is there again then, even after
    ``kill``.
    """

    def __init__(
        self,
        command: list[str],
        port: int,
        log: Path,
        *,
        url: str = "",
        answers: Callable[["Server"], bool] | None = None,
        end: Signals = Signals.SIGTERM,
        popen: dict[str, Any] | None = None,
    ):
        self.command = command
        self.port = port
        self.log = log
        self.url = url
        self._answers = answers or _accepts_connections
        self._end = end
        self._popen = popen or {}
        self._process: subprocess.Popen | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Return once the server answers; where it runs, do nothing."""
        if self.runs:
            return
        # Held open by all processes of the server: its end is theirs.
        reader, writer = os.pipe()
        self._pulse = os.fdopen(reader)
        try:
            with self.log.open("ab") as output:
                self._process = subprocess.Popen(
                    self.command,
                    stdout=output,
                    stderr=output,
                    pass_fds=[writer],
                    **self._popen,
                )
        finally:
            os.close(writer)
        self._wait_for_answer()

    def stop(self) -> None:
        """End the server as an administrator does."""
        self._end_by(self._end)

    def kill(self) -> None:
        """End the server as it would never end by itself."""
        self._end_by(Signals.SIGKILL)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Have the server accept connections and answer nothing."""
        self._process.send_signal(Signals.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)
        # PostgreSQL has a process for each connection.
        children = _children(self._process.pid)
        for child in children:
            os.kill(child, Signals.SIGSTOP)
        try:
            yield
        finally:
            for child in children:
                os.kill(child, Signals.SIGCONT)
            self._process.send_signal(Signals.SIGCONT)

    def _end_by(self, signal: Signals) -> None:
        if not self.runs:
            return
        if self._popen.get("start_new_session"):
            os.killpg(self._process.pid, signal)
        else:
            self._process.send_signal(signal)
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        with self._pulse as pulse:
            pulse.read()

    def _wait_for_answer(self) -> None:
        latest = time.monotonic() + SECONDS
        while self.runs and time.monotonic() < latest:
            if self._answers(self):
                return
            # Waits a moment, and no longer where the server has ended.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.02)
        raise AssertionError(
            f"{self.command} does not answer: {self.log.read_text()}"
        )


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.exists():
        return []
    return [int(child) for child in listed.read_text().split()]


def _accepts_connections(server: Server) -> bool:
    with closing(socket.socket()) as probe:
        probe.settimeout(SECONDS)
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def _accepts_sql(server: Server) -> bool:
    try:
        create_engine(server.url, poolclass=NullPool).connect().close()
    except OperationalError:
        return False
    return True


_PORTS = range(20000, 32000)
"""Ports that the system does not choose for connections by itself."""

_reserved: list[int] = []
"""Descriptors of the files whose locks reserve ports for this process."""


def free_port() -> int:
    """Return a port on which nothing listens, and reserve it.

    No other test run on this machine gets it while this process runs, also
    while the server of a test is down for a while.
    """
    name = f"collective.beaker-test-ports-{os.getuid()}"
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(exist_ok=True)
    while True:
        port = random.choice(_PORTS)
        lock = os.open(folder / str(port), os.O_CREAT | os.O_CLOEXEC)
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _reserved.append(lock)
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def find_program(name: str) -> str:
    """Return the path of a program; skip the test if it is not installed."""
    # Debian keeps servers in folders that are not in everyone's PATH.
    debians = ["/usr/sbin", *glob("/usr/lib/postgresql/*/bin")]
    folders = os.pathsep.join([*os.get_exec_path(), *debians])
    path = shutil.which(name, path=folders)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@contextmanager
def running(
    command: list[str], port: int, log: Path, **options: Any
) -> Iterator[Server]:
    """Run a server until the end of the block."""
    program, *arguments = command
    server = Server([find_program(program), *arguments], port, log, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def redis_server(
    folder: Path, *options: str, certificate: Certificate | None = None
) -> Iterator[Server]:
    """Run Redis; with a certificate it speaks TLS only."""
    port = free_port()
    url, command = _redis_on(port, "/0", certificate)
    command += ["--dir", str(folder), *options]
    with running(
        command, port, folder / "redis.log", url=url, answers=_has_loaded
    ) as server:
        yield server


def _has_loaded(server: Server) -> bool:
    """Tell whether a Redis has loaded what it had stored before it ended."""
    try:
        with closing(Redis.from_url(server.url)) as client:
            return bool(client.ping())
    except RedisError:
        return False


def _redis_on(
    port: int, database: str, certificate: Certificate | None
) -> tuple[str, list[str]]:
    """Return the URL of a Redis on a port, and the command that runs it."""
    url = f"redis://127.0.0.1:{port}{database}"
    command = ["redis-server", *_listening(port, certificate), "--save", ""]
    command += ["--appendonly", "yes", "--appendfsync", "no"]
    if certificate is None:
        return url, command
    url = url.replace("redis:", "rediss:")
    return f"{url}?ssl_ca_certs={certificate[0]}", command


def _listening(port: int, certificate: Certificate | None) -> list[str]:
    """Return the options of a Redis that say where it listens, and how."""
    options = ["--bind", "127.0.0.1"]
    if certificate is None:
        return [*options, "--port", str(port)]
    path, key = map(str, certificate)
    options += ["--port", "0", "--tls-port", str(port)]
    options += ["--tls-auth-clients", "no", "--tls-ca-cert-file", path]
    return [*options, "--tls-cert-file", path, "--tls-key-file", key]


@contextmanager
def redis_cluster(
    folder: Path, replicas: int = 0, certificate: Certificate | None = None
) -> Iterator[list[Server]]:
    """Run Redis servers that share out the keys among themselves.

    The first three are masters, each with so many of the others as replicas.
    With a certificate they speak TLS only.
    """
    tls = ["--tls", "--cacert", str(certificate[0])] if certificate else []
    with ExitStack() as stack:
        servers = []
        for number in range(3 * (1 + replicas)):
            port = free_port()
            own = folder / str(number)
            own.mkdir()
            url, command = _redis_on(port, "", certificate)
            command += ["--dir", str(own), "--cluster-enabled", "yes"]
            command += ["--cluster-node-timeout", "1000"]
            command += ["--cluster-port", str(free_port())]
            command += ["--tls-cluster", "yes" if tls else "no"]
            server = running(command, port, own / "redis.log", url=url)
            servers.append(stack.enter_context(server))
        addresses = [f"127.0.0.1:{server.port}" for server in servers]
        subprocess.run(
            [
                *("redis-cli", *tls, "--cluster", "create", *addresses),
                *("--cluster-replicas", str(replicas), "--cluster-yes"),
            ],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        for server in servers:
            _wait_for_node(server, replicas)
        yield servers


def _wait_for_node(server: Server, replicas: int) -> None:
    """Return once a node knows the places of all keys, and has its copies."""
    wait_for_redis(server, lambda client: _is_ready(client, replicas))


def wait_for_redis(server: Server, condition: Callable[[Redis], bool]) -> None:
    """Return once a condition holds for a client of a Redis."""
    with closing(Redis.from_url(server.url)) as client:
        wait_until(lambda: condition(client))


def _is_ready(node: Redis, replicas: int) -> bool:
    if node.cluster("info")["cluster_state"] != "ok":
        return False
    info = node.info("replication")
    if info["role"] == "slave":
        return info["master_link_status"] == "up"
    states = [info[f"slave{n}"] for n in range(info["connected_slaves"])]
    return [state["state"] for state in states] == ["online"] * replicas


@dataclass
class Watched:
    """Redis servers, one of which is the master that sentinels name."""

    servers: list[Server]
    sentinels: list[Server]
    certificate: Certificate | None = None

    @property
    def url(self) -> str:
        """The address, without a password."""
        hosts = ",".join(
            f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels
        )
        if self.certificate is None:
            return f"redis+sentinel://{hosts}/sky/0"
        authority = f"ssl_ca_certs={self.certificate[0]}"
        return f"rediss+sentinel://{hosts}/sky/0?{authority}"

    def start(self) -> None:
        """Start what has ended; what was the master becomes a replica."""
        for sentinel in self.sentinels:
            sentinel.start()
        wait_until(lambda: len(self.masters()) == 1)
        (master,) = self.masters()
        for server in self.servers:
            if not server.runs:
                server.start()
                # The sentinels would say so after ten seconds.
                with closing(Redis.from_url(server.url)) as client:
                    client.replicaof("127.0.0.1", master.port)
        self.wait_for_copies()

    def masters(self) -> list[Server]:
        """Return those servers that are masters by their own account."""
        return [server for server in self.servers if _is_master(server)]

    def is_known_to(self, sentinel: Redis) -> bool:
        """Tell whether a sentinel knows all servers and all others."""
        state = sentinel.sentinel_masters()["sky"]
        others = state["num-other-sentinels"], state["num-slaves"]
        return others == (len(self.sentinels) - 1, len(self.servers) - 1)

    def wait_for_copies(self) -> Server:
        """Return the master once another server has all that it stored."""
        wait_until(lambda: len(self.masters()) == 1)
        (master,) = self.masters()
        with closing(Redis.from_url(master.url)) as client:
            # It counts what this client has written.
            client.set("copied", 1)
            assert client.wait(1, 1000 * SECONDS) == 1
        return master


@contextmanager
def refusing_writes(server: Server) -> Iterator[None]:
    """Have a Redis refuse to write, as a replica does."""
    with closing(Redis.from_url(server.url)) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            yield
        finally:
            client.replicaof("NO", "ONE")


def _is_master(server: Server) -> bool:
    if not server.runs:
        return False
    # Sentinels end all connections to a server whose part they change.
    with (
        suppress(RedisError),
        closing(Redis.from_url(server.url)) as client,
    ):
        return client.info("replication")["role"] == "master"
    return False


@contextmanager
def redis_with_sentinels(
    folder: Path,
    replicas: int = 1,
    sentinels: int = 3,
    certificate: Certificate | None = None,
    options: Sequence[str] = (),
    lines: Sequence[str] = (),
) -> Iterator[Watched]:
    """Run a master, replicas, and sentinels, which watch them.

    ``options`` are for the servers, and ``lines`` for the configuration of
    the sentinels.  With a certificate all speak TLS only.
    """
    given = ["--repl-diskless-sync-delay", "0", *options]
    if certificate:
        given += ["--tls-replication", "yes"]
    with ExitStack() as stack:
        servers: list[Server] = []
        for number in range(1 + replicas):
            own = folder / str(number)
            own.mkdir()
            server = redis_server(own, *given, certificate=certificate)
            servers.append(stack.enter_context(server))
            given += ["--replicaof", f"127.0.0.1 {servers[0].port}"]
        monitor = f"sky 127.0.0.1 {servers[0].port} {sentinels // 2 + 1}"
        lines = [f"sentinel monitor {monitor}", *_IMPATIENT, *lines]
        watching = []
        for number in range(sentinels):
            own = folder / f"sentinel{number}"
            own.mkdir()
            sentinel = _sentinel(own, lines, certificate)
            watching.append(stack.enter_context(sentinel))
        group = Watched(servers, watching, certificate)
        if replicas:
            group.wait_for_copies()
        for sentinel in watching:
            wait_for_redis(sentinel, group.is_known_to)
        yield group


_IMPATIENT = [
    "sentinel down-after-milliseconds sky 1000",
    "sentinel failover-timeout sky 3000",
]


def _sentinel(
    folder: Path, lines: Sequence[str], certificate: Certificate | None
) -> AbstractContextManager[Server]:
    """Run a sentinel, which keeps what it finds out in its configuration."""
    port = free_port()
    url, _ = _redis_on(port, "", certificate)
    options = _listening(port, certificate)
    if certificate:
        options += ["--tls-replication", "yes"]
    pairs = zip(options[::2], options[1::2], strict=True)
    lines = [f"{name[2:]} {value}" for name, value in pairs] + [*lines]
    file = folder / "sentinel.conf"
    file.write_text("\n".join([f"dir {folder}", *lines, ""]))
    command = ["redis-server", str(file), "--sentinel"]
    return running(command, port, folder / "sentinel.log", url=url)


@contextmanager
def memcached_server(folder: Path, *options: str) -> Iterator[Server]:
    port = free_port()
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0"]
    command += ["-u", "nobody", *options]
    log = folder / "memcached.log"
    # It has nothing to keep, and takes a second to end by itself.
    with running(
        command, port, log, url=f"127.0.0.1:{port}", end=Signals.SIGKILL
    ) as server:
        yield server


@contextmanager
def postgresql_server(
    certificate: Certificate | None = None,
) -> Iterator[Server]:
    """Run PostgreSQL, with TLS if there is a certificate and its key."""
    port = free_port()
    with unprivileged_folder() as (folder, popen):
        data = folder / "data"
        password = secrets.token_hex()
        password_file = write(folder / "password", password)
        command = ["initdb", f"--pgdata={data}", "--no-sync"]
        command += ["--username=tests", f"--pwfile={password_file}"]
        command += ["--auth=scram-sha-256"]
        command += ["--encoding=UTF8", "--locale=C"]
        prepare(command, popen)
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "fsync": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
        }
        if certificate:
            path, key = (_private_copy(file, folder) for file in certificate)
            settings |= {"ssl": "on", "ssl_cert_file": path}
            settings |= {"ssl_key_file": key}
        command = ["postgres", "-D", str(data)]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with running(
            command,
            port,
            folder / "log",
            url=f"postgresql+psycopg://tests:{password}"
            f"@127.0.0.1:{port}/postgres",
            answers=_accepts_sql,
            end=Signals.SIGINT,  # SIGTERM would wait for all clients to go.
            popen=popen,
        ) as server:
            yield server


@contextmanager
def mariadb_server(*options: str) -> Iterator[Server]:
    port = free_port()
    with unprivileged_folder() as (folder, popen):
        data = f"--datadir={folder / 'data'}"
        small = ["--innodb-log-file-size=4M"]
        small += ["--innodb-buffer-pool-size=16M"]
        prepare(["mariadb-install-db", "--no-defaults", data, *small], popen)
        password = secrets.token_hex()
        account = write(
            folder / "account.sql",
            "CREATE DATABASE IF NOT EXISTS sessions;\n"
            f"CREATE USER IF NOT EXISTS tests IDENTIFIED BY '{password}';\n"
            "GRANT ALL ON sessions.* TO tests;\n",
        )
        command = ["mariadbd", "--no-defaults", data, *small]
        command += ["--bind-address=127.0.0.1", f"--port={port}"]
        command += [f"--socket={folder / 'socket'}"]
        command += [f"--pid-file={folder / 'pid'}"]
        command += [f"--init-file={account}", "--skip-name-resolve"]
        command += ["--character-set-server=utf8mb4"]
        command += ["--innodb-flush-log-at-trx-commit=2"]
        command += ["--innodb-fast-shutdown=2", *options]
        with running(
            command,
            port,
            folder / "log",
            url=f"mysql+pymysql://tests:{password}@127.0.0.1:{port}/sessions",
            answers=_accepts_sql,
            popen=popen,
        ) as server:
            yield server


@contextmanager
def unprivileged_folder() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a folder, and how ``subprocess`` runs a program as its owner.

    The databases refuse to run as root, and no one else enters the folders
    that root gets from pytest.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A MariaDB that starts removes the temporary tables of all others.
        env = os.environ | {"TMPDIR": folder}
        popen: dict[str, Any] = {"cwd": folder, "env": env}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            popen |= {"user": nobody.pw_uid, "group": nobody.pw_gid}
            popen |= {"extra_groups": []}
        yield Path(folder), popen


def _private_copy(file: Path, folder: Path) -> Path:
    """Copy a file into a folder, for the folder's owner only."""
    copy = folder / file.name
    shutil.copy(file, copy)
    copy.chmod(0o600)
    os.chown(copy, folder.stat().st_uid, folder.stat().st_gid)
    return copy


def write(path: Path, text: str) -> Path:
    """Write a file that the owner of its folder can read."""
    path.write_text(text)
    path.chmod(0o644)
    return path


def prepare(command: list[str], popen: dict[str, Any]) -> None:
    """Have a program make the folder that a server needs."""
    program, *arguments = command
    run = subprocess.run(
        [find_program(program), *arguments],
        capture_output=True,
        text=True,
        **popen,
    )
    assert run.returncode == 0, run.stdout + run.stderr


STARTERS: dict[str, Callable[[Path], AbstractContextManager[Server]]] = {
    "redis": redis_server,
    "memcached": memcached_server,
    "postgresql": lambda folder: postgresql_server(),
    "mariadb": lambda folder: mariadb_server(),
}
"""The functions that run each server; they are given a folder for it."""
