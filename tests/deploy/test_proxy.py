"""The proxy of deploy/proxy/ before two replicas, all set up by the commands of its README, under load."""

import dataclasses
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.archive import save_bundle
from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import ROOT, Require, free_port, problem
from tests.containers import IMAGE, run
from tests.trust.asks import Ask, make_asks
from tests.trust.conftest import Record, Sized
from tests.trust.load import Load, Tally, answers

START = "make image\ndeploy/proxy/rollout music-origin\n"
TRIAL, SERVICE, ROLLOUT = re.findall(r"```sh\n(.*?)```", (ROOT / "deploy/proxy/README.md").read_text(), re.DOTALL)
PIECE = {"features": EXAMPLE_FEATURES}
CLIENTS = 8
UNLIMITED = "1000000000"
LARGEST_REPEATED = 30_000


@dataclasses.dataclass(frozen=True)
class Deployment:
    """Two replicas behind the proxy, and what the commands of the README are given to find them."""

    engine: str
    folder: Path
    environment: Mapping[str, str]
    port: int

    @property
    def ports(self) -> list[str]:
        """Where replicas may be."""
        return self.environment["PORTS"].split()

    @property
    def trusted(self) -> ssl.SSLContext:
        """The proxy's certificate, to be trusted."""
        return ssl.create_default_context(cafile=self.folder / "certificate.pem")

    def load(self, asks: Sequence[Ask], total: int | None = None) -> Load:
        """Clients that ask by HTTPS, each over a connection of its own that it keeps."""
        return Load("127.0.0.1", self.port, asks, CLIENTS, total, trusted=self.trusted)

    def rollout(self, image: str, **environment: str) -> int:
        """Has all replicas replaced, by the README's command; with what status that ended."""
        command = [*ROLLOUT.replace("music-origin", image).split(), "--pull=never"]
        return subprocess.run(command, cwd=ROOT, env={**self.environment, **environment}).returncode

    def container(self, port: str) -> str:
        """The container of the replica at a port."""
        return f"{self.environment['NAME']}-{port}"

    def replicas(self) -> list[str]:
        """The ports of the replicas that the proxy sends requests to, once these are all that there are."""
        while True:
            there = self.there()
            up = [sample["server"] for sample, value in self.told("haproxy_server_status", state="UP") if value]
            if up == [f"replica-{1 + self.ports.index(port)}" for port in there]:
                return there
            time.sleep(0.05)

    def there(self) -> list[str]:
        """The ports that have a container."""
        inspect = [self.engine, "container", "inspect"]
        return [
            port
            for port in self.ports
            if subprocess.run([*inspect, self.container(port)], capture_output=True).returncode == 0
        ]

    def described(self, what: str, port: str) -> str:
        """What the engine says of the container at a port."""
        return run(self.engine, "inspect", f"--format={{{{.{what}}}}}", self.container(port))

    def kill(self, port: str) -> None:
        """Ends a replica's process by SIGKILL, and waits until the engine has started it again and it is ready."""
        pid = self.described("State.Pid", port)
        os.kill(int(pid), signal.SIGKILL)
        while self.described("State.Pid", port) in {pid, "0"} or not answers(httpx.URL(f"http://127.0.0.1:{port}")):
            time.sleep(0.05)

    def told(self, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """The samples of a metric of the proxy's."""
        return samples(self.environment["METRICS"], name, **labels)


def samples(address: str, name: str, **labels: str) -> list[tuple[dict[str, str], float]]:
    """The labels and values of a metric that have these labels among them."""
    families = text_string_to_metric_families(httpx.get(f"http://{address}/metrics").raise_for_status().text)
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return [(sample.labels, sample.value) for sample in found if sample.labels.items() >= labels.items()]


@contextmanager
def haproxy(folder: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    """The proxy, with a certificate of its own, by the README's commands; there are replicas already."""
    assert TRIAL.startswith(START)
    commands = TRIAL.removeprefix(START).replace("8443", str(port))
    (folder / "deploy").symlink_to(ROOT / "deploy")
    try:
        subprocess.run(["bash", "-e", "-c", commands], cwd=folder, env=environment, check=True)
        yield
    finally:
        if (folder / "proxy.pid").exists():
            os.kill(int((folder / "proxy.pid").read_text()), signal.SIGTERM)


@pytest.fixture(scope="module")
def deployment(engine: str, require: Require, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two replicas behind the proxy."""
    for program in ("haproxy", "openssl", "curl"):
        require(shutil.which(program), f"{program} is not installed")
    folder = tmp_path_factory.mktemp("proxy")
    ports, port = [str(free_port()) for _ in range(3)], free_port()
    environment = os.environ | {
        "NAME": f"{IMAGE}-{uuid.uuid4().hex[:8]}",
        "PORTS": " ".join(ports),
        "METRICS": f"127.0.0.1:{free_port()}",
        "BURST": UNLIMITED,
        "SETTINGS": str(folder / "settings"),
        **{f"REPLICA_{number}": f"127.0.0.1:{port}" for number, port in enumerate(ports, 1)},
    }
    (folder / "settings").write_text("MUSIC_ORIGIN_REQUEST_TIMEOUT=29\n")
    deployment = Deployment(engine, folder, environment, port)
    try:
        assert deployment.rollout(IMAGE) == 0
        with haproxy(folder, environment, port):
            yield deployment
    finally:
        for replica in ports:
            for command in (["kill"], ["rm", "--force"]):
                subprocess.run([engine, *command, deployment.container(replica)], capture_output=True)


@pytest.fixture(scope="module")
def other_images(engine: str, other_bundle: ModelBundle, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """An image with other models, and one whose bundle is not sound."""
    images = []
    for name in ("other", "unsound"):
        folder = tmp_path_factory.mktemp(name)
        save_bundle(other_bundle, folder / "bundle.npz")
        if name == "unsound":
            os.truncate(folder / "bundle.npz", 1000)
        (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY bundle.npz models/artifacts/bundle.npz\n")
        images.append(f"{IMAGE}-{name}")
        run(engine, "build", "--tag", images[-1], str(folder))
    return images


@pytest.fixture(scope="module")
def asks(bundle: ModelBundle, other_bundle: ModelBundle) -> list[Ask]:
    """Pieces and batches in every form, with the answers by both bundles."""
    return make_asks([bundle, other_bundle], 200, seed=8)


def shown(tally: Tally) -> str:
    """What came of a load, in words."""
    texts = [*tally.mistakes, *tally.losses]
    return (
        f"{tally.right:,} right, {tally.wrong} wrong, {tally.lost} lost, {tally.refused} refused {texts or ''}".strip()
    )


def is_clean(tally: Tally) -> bool:
    """Whether every request was answered, and rightly."""
    return not (tally.wrong or tally.lost or tally.refused)


def test_replicas_count_together_what_the_clients_were_answered(
    deployment: Deployment, asks: list[Ask], sized: Sized, record: Record
) -> None:
    before = counted(deployment)
    with deployment.load(asks, sized(50_000, 1_500)) as load:
        tally = load.wait()
    replicas = counted(deployment) - before
    record(
        f"{tally.sent:,} requests by HTTPS to two replicas, by their own metrics",
        f"{shown(tally)}; counted: {' + '.join(f'{count:,}' for count in replicas.values())}",
        "as many as were right, and some of each",
        is_clean(tally) and replicas.total() == tally.right and len(replicas) == 2,
    )


def counted(deployment: Deployment) -> Counter[str]:
    """How many predictions each replica has answered, by its port."""
    return Counter(
        {
            port: sum(
                int(value)
                for _, value in samples(f"127.0.0.1:{port}", "music_origin_requests_total", method="POST", status="200")
            )
            for port in deployment.replicas()
        }
    )


def test_replacing_the_replicas_fails_no_request(
    deployment: Deployment,
    asks: list[Ask],
    other_images: list[str],
    bundle: ModelBundle,
    other_bundle: ModelBundle,
    sized: Sized,
    record: Record,
) -> None:
    times, other = sized(10, 1), other_images[0]
    with deployment.load(asks) as load:
        for number in range(times):
            load.wait_for(load.tally.sent + 100)
            assert deployment.rollout(IMAGE if number % 2 else other) == 0
            assert len(deployment.replicas()) == 2
            told = deployment.described("Config.Env", deployment.replicas()[0])
            assert "MUSIC_ORIGIN_ACCESS_LOG=false" in told
            assert "MUSIC_ORIGIN_REQUEST_TIMEOUT=29" in told
            load.wait_for(load.tally.sent + 100)
    tally = load.tally
    record(
        f"{times} x both replicas replaced by those of other models, under load by HTTPS",
        f"{shown(tally)}, versions {dict(tally.versions)}",
        "all right, by both versions",
        is_clean(tally) and set(tally.versions) == {bundle.version, other_bundle.version},
    )


@pytest.mark.parametrize("why", ["unsound", "missing", "port busy", "beside one not started", "beside one not ready"])
def test_rollout_that_fails_changes_nothing(
    deployment: Deployment, asks: list[Ask], other_images: list[str], why: str, record: Record
) -> None:
    before = deployment.replicas()
    [free] = {*deployment.ports} - {*before}
    named = ["--name", deployment.container(free)]
    image = {"missing": f"{IMAGE}-missing", "port busy": IMAGE}.get(why, other_images[1])
    with ExitStack() as exits, deployment.load(asks) as load:
        if why == "port busy":
            exits.enter_context(socket.create_server(("127.0.0.1", int(free))))
        elif why == "beside one not started":
            run(deployment.engine, "create", *named, IMAGE)
        elif why == "beside one not ready":
            run(deployment.engine, "run", "--detach", "--stop-signal=KILL", *named, IMAGE, "sleep", "infinity")
        status = deployment.rollout(image, PATIENCE="1")
    record(
        f"rollout that fails ({why}), under load by HTTPS",
        f"status {status}, {shown(load.tally)}",
        "status 1, all right, the replicas still there",
        status == 1 and is_clean(load.tally) and deployment.there() == before == deployment.replicas(),
    )


def test_replica_that_is_killed_fails_no_request(
    deployment: Deployment, asks: list[Ask], require: Require, sized: Sized, record: Record
) -> None:
    require(os.geteuid() == 0, "only root may kill a process of a container")
    times = sized(10, 2)
    repeatable = [ask for ask in asks if len(ask.body) < LARGEST_REPEATED]
    [(_, retries_before)] = deployment.told("haproxy_backend_retry_warnings_total", proxy="replicas")
    with deployment.load(repeatable) as load:
        for number in range(times):
            replicas = deployment.replicas()
            load.wait_for(load.tally.sent + 100)
            deployment.kill(replicas[number % 2])
            assert deployment.replicas() == replicas
    [(_, retries)] = deployment.told("haproxy_backend_retry_warnings_total", proxy="replicas")
    record(
        f"{times} x SIGKILL to one of two replicas, under load by HTTPS",
        f"{shown(load.tally)}; {retries - retries_before:g} retries",
        "all right, at least one retry for each",
        is_clean(load.tally) and retries - retries_before >= times,
    )


def test_proxy_hands_on_what_the_service_refuses(deployment: Deployment) -> None:
    with httpx.Client(base_url=f"https://127.0.0.1:{deployment.port}", verify=deployment.trusted) as client:
        assert client.post("/genre", json=PIECE).status_code == 200
        problem(client.get("/metrics"), 404)
        problem(client.get("/%6Detrics"), 404)
        problem(client.post("/genre", json={"features": [1]}), 422)
        large = b" " * (16 * 2**20 + 1)
        problem(client.post("/genre/batch", content=large, headers={"Content-Type": "application/json"}), 413)


def connect(trusted: ssl.SSLContext, port: int) -> ssl.SSLSocket:
    """A connection by which nothing has been said."""
    connection = socket.create_connection(("127.0.0.1", port))
    return trusted.wrap_socket(connection, server_hostname="127.0.0.1", do_handshake_on_connect=False)


def is_taken(connection: ssl.SSLSocket) -> bool:
    """Whether the proxy lets a connection speak."""
    try:
        connection.do_handshake()
    except OSError:
        return False
    return True


def test_proxy_keeps_one_client_from_taking_all(deployment: Deployment, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **deployment.environment,
        "BURST": "20",
        "CONNECTIONS": "10",
        "METRICS": f"127.0.0.1:{free_port()}",
    }
    with haproxy(tmp_path, environment, port), ExitStack() as exits:
        trusted = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        url = f"https://127.0.0.1:{port}/genre"
        with httpx.Client(verify=trusted) as client:
            replies = [client.post(url, json=PIECE) for _ in range(100)]
            assert {reply.status_code for reply in replies} == {200, 429}
            problem(next(reply for reply in replies if reply.status_code == 429), 429)
            while client.post(url, json=PIECE).status_code == 429:
                pass  # for what is denied is not counted
        connections = [exits.enter_context(connect(trusted, port)) for _ in range(11)]
        assert sum(map(is_taken, connections)) == 10
        another = httpx.HTTPTransport(verify=trusted, local_address="127.0.0.2")
        with httpx.Client(transport=another) as client:
            assert client.post(url, json=PIECE).status_code == 200


def test_configuration_goes_beside_that_of_debian(deployment: Deployment, require: Require, tmp_path: Path) -> None:
    require(Path("/etc/haproxy/haproxy.cfg").exists(), "HAProxy is not Debian's")
    for name in ("haproxy", "default"):
        (tmp_path / "etc" / name).mkdir(parents=True)
    shutil.copy("/etc/haproxy/haproxy.cfg", tmp_path / "etc" / "haproxy")
    *commands, restart = SERVICE.replace("sudo ", "").replace("/etc/", f"{tmp_path}/etc/").splitlines()
    assert restart == "systemctl restart haproxy"
    subprocess.run(["bash", "-e", "-c", "\n".join(commands)], cwd=ROOT, check=True)
    [configuration] = re.findall(r'CONFIG="(.*)"', (tmp_path / "etc" / "default" / "haproxy").read_text())
    environment = {**deployment.environment, "CERTIFICATE": str(deployment.folder / "proxy.pem")}
    checked = subprocess.run(
        ["haproxy", "-c", "-f", configuration], env=environment, capture_output=True, text=True, check=True
    )
    assert "WARNING" not in checked.stderr
