"""Fixtures: the tools of those who deploy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Require

Kustomize = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def kustomize(require: Require) -> Kustomize:
    """Builds a kustomization as `kubectl apply -k` does before it sends it anywhere."""
    kubectl = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    require(kubectl, "kubectl is not installed")

    def build(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, text=True)

    return build
