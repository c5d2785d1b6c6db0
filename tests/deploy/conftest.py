"""Fixtures: the tools of those who deploy, what they deploy, and how long tests last, as attacks have it."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.archive import save_bundle
from models.bundle import ModelBundle
from tests.conftest import Require, free_port
from tests.containers import IMAGE, run
from tests.deploy.proxied import Deployment, haproxy
from tests.trust.asks import Ask, make_asks
from tests.trust.conftest import record, sized

__all__ = ["record", "sized"]

UNLIMITED = "1000000000"

Kustomize = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def kustomize(require: Require) -> Kustomize:
    """Builds a kustomization as `kubectl apply -k` does before it sends it anywhere."""
    kubectl = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    require(kubectl, "kubectl is not installed")

    def build(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, text=True)

    return build


@pytest.fixture(scope="package")
def deployed(engine: str, require: Require, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
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
    deployed = Deployment(engine, folder, environment, port)
    try:
        assert deployed.rollout(IMAGE) == 0
        with haproxy(folder, environment, port):
            yield deployed
    finally:
        for replica in ports:
            for command in (["kill"], ["rm", "--force"]):
                subprocess.run([engine, *command, deployed.container(replica)], capture_output=True)


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def asks(bundle: ModelBundle, other_bundle: ModelBundle) -> list[Ask]:
    """Pieces and batches in every form, with the answers by both bundles."""
    return make_asks([bundle, other_bundle], 200, seed=8)
