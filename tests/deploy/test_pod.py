"""The pod of the Deployment, run for real by Podman: what it may do, whom it answers, and how it stops."""

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import yaml

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from tests.conftest import Require, free_port
from tests.containers import IMAGE, run
from tests.deploy.manifests import KUBERNETES, Manifest, load
from tests.trust.asks import Ask, make_asks
from tests.trust.load import Load, answers

PIECE = {"features": EXAMPLE_FEATURES}
KEYS_FILE = "/etc/music-origin/api-keys"
DRAIN_SECONDS = 3.0  # in the place of 12, for the test's sake
CLIENTS = 8
# As root, Podman asks for more open files in a pod than each machine grants. Without limits, it has the machine's.
WITHOUT_LIMITS = """
import json, sys
container = json.load(sys.stdin)
container["process"].pop("rlimits", None)
json.dump(container, sys.stdout)
"""


def with_keys(asks: list[Ask], key: str) -> list[Ask]:
    """The same, with a key."""
    return [replace(ask, headers={**ask.headers, "Authorization": f"Bearer {key}"}) for ask in asks]


@dataclass(frozen=True)
class Pod:
    """A pod that answers: its engine, its container, where it is, and its key."""

    engine: str
    container: str
    url: httpx.URL
    key: str

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Has it stopped as Kubernetes does it, which sends SIGTERM and kills after the Deployment's own patience."""
        patience = load(KUBERNETES / "deployment.yaml")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        pod = run(self.engine, "inspect", "--format={{.Pod}}", self.container)
        with subprocess.Popen([self.engine, "pod", "stop", f"--time={patience}", pod]) as stop:
            yield
        assert stop.returncode == 0


def deployment(name: str, port: int) -> Manifest:
    """The Deployment with another name, the image at hand, a port of this machine's own network, and less patience.

    The port is not handed on by Podman, since then it would take connections that the service never sees.
    """
    manifest = load(KUBERNETES / "deployment.yaml")
    manifest["metadata"]["name"] = name
    pod = manifest["spec"]["template"]["spec"]
    pod["hostNetwork"] = True
    pod["volumes"][0]["secret"]["secretName"] = name
    (container,) = pod["containers"]
    container["image"] = f"localhost/{IMAGE}"
    container["command"] = [str(port) if part == "8000" else part for part in container["command"]]
    del container["ports"]  # Podman would hand it on all the same
    (drain,) = [each for each in container["env"] if each["name"] == "MUSIC_ORIGIN_DRAIN_SECONDS"]
    drain["value"] = str(DRAIN_SECONDS)
    # Kubernetes would set this for a Service of that name, if it were not told to set none.
    container["env"].append({"name": "MUSIC_ORIGIN_PORT", "value": "tcp://10.0.0.1:80"})
    return manifest


def hooks(folder: Path) -> Path:
    """A folder with the hook that takes away limits."""
    hook = {"path": sys.executable, "args": ["python", "-c", WITHOUT_LIMITS]}
    description = {"version": "1.0.0", "hook": hook, "when": {"always": True}, "stages": ["precreate"]}
    folder.mkdir()
    (folder / "limits.json").write_text(json.dumps(description))
    return folder


@pytest.fixture
def pod(engine: str, require: Require, tmp_path: Path) -> Iterator[Pod]:
    """A pod that answers."""
    require(Path(engine).name == "podman", "podman is not installed")
    name, port = f"{IMAGE}-{uuid.uuid4().hex[:8]}", free_port()
    podman = (engine, "--hooks-dir", str(hooks(tmp_path / "hooks"))) if os.geteuid() == 0 else (engine,)
    keys = base64.b64encode(b"first\nsecond\n").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": {"api-keys": keys}}
    file = tmp_path / "pod.yaml"
    file.write_text(yaml.safe_dump_all([secret, deployment(name, port)]))
    url = httpx.URL(f"http://127.0.0.1:{port}")
    try:
        run(*podman, "kube", "play", str(file))
        named = run(engine, "ps", "--filter", f"name=^{name}-pod", "--format={{.Names}}").splitlines()
        (container,) = [each for each in named if each.endswith("-music-origin")]
        while not answers(url):
            assert run(engine, "inspect", "--format={{.State.Running}}", container) == "true"
            time.sleep(0.05)
        # Some versions of Podman hand on a Secret's data as they are encoded, so what the key is stands in the file.
        key = run(engine, "exec", container, "cat", KEYS_FILE).splitlines()[0]
        yield Pod(engine, container, url, key)
    finally:
        for command in (("kube", "down", str(file)), ("secret", "rm", name), ("volume", "rm", "--force", name)):
            subprocess.run([*podman, *command], capture_output=True)


def test_pod_is_confined_and_asks_for_a_key(pod: Pod) -> None:
    for headers, status in (({}, 401), ({"X-API-Key": "wrong"}, 401), ({"X-API-Key": pod.key}, 200)):
        assert httpx.post(f"{pod.url}/genre", json=PIECE, headers=headers).status_code == status
        assert httpx.get(f"{pod.url}/metrics", headers=headers).status_code == status
    of_process = run(pod.engine, "exec", pod.container, "cat", "/proc/1/status")
    process = {name: value.strip() for name, _, value in (line.partition(":") for line in of_process.splitlines())}
    assert process["Uid"].split() == process["Gid"].split() == ["10001"] * 4
    assert {process[f"Cap{which}"] for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert process["NoNewPrivs"] == "1"
    assert process["Seccomp"] == "2"
    mounts = run(pod.engine, "exec", pod.container, "cat", "/proc/1/mounts").splitlines()
    options = {place: set(options.split(",")) for _, place, _, options, *_ in map(str.split, mounts)}
    assert "ro" in options["/"]
    folders = f"/ /app /app/models/artifacts /venv /etc {Path(KEYS_FILE).parent}"
    attempt = f"for folder in {folders}; do touch $folder/new 2>/dev/null && echo $folder; done; true"
    assert run(pod.engine, "exec", pod.container, "sh", "-c", attempt) == ""


def test_pod_loses_nothing_when_it_is_stopped(pod: Pod, bundle: ModelBundle) -> None:
    asks = with_keys(make_asks([bundle], 80), pod.key)
    with Load(pod.url.host, pod.url.port or 80, asks, CLIENTS, stop_when_refused=True) as load:
        load.wait_for(100)
        with pod.stopping():
            while httpx.get(f"{pod.url}/health/ready").status_code == 200:
                time.sleep(0.01)
            assert httpx.get(f"{pod.url}/health/live").status_code == 200
            answered = load.tally.sent
            tally = load.wait()
    assert (tally.wrong, tally.lost) == (0, 0), [*tally.mistakes, *tally.losses]
    assert tally.right > answered + 100  # it went on answering while it was not ready
    assert run(pod.engine, "inspect", "--format={{.State.ExitCode}}", pod.container) == "0"
