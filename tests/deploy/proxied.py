"""Two replicas behind the proxy of deploy/proxy/, all set up by the commands of its README, and load on them."""

import dataclasses
import os
import re
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from tests.containers import run
from tests.trust.asks import Ask
from tests.trust.load import Load, Tally, answers

START = "make image\ndeploy/proxy/rollout music-origin\n"
TRIAL, SERVICE, ROLLOUT = re.findall(r"```sh\n(.*?)```", (ROOT / "deploy/proxy/README.md").read_text(), re.DOTALL)
CLIENTS = 8


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


def shown(tally: Tally) -> str:
    """What came of a load, in words."""
    texts = [*tally.mistakes, *tally.losses]
    return (
        f"{tally.right:,} right, {tally.wrong} wrong, {tally.lost} lost, {tally.refused} refused {texts or ''}".strip()
    )


def is_clean(tally: Tally) -> bool:
    """Whether every request was answered, and rightly."""
    return not (tally.wrong or tally.lost or tally.refused)
