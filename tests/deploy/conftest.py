"""Fixtures: the tools of those who deploy, and how long tests last and the table of figures, as attacks have them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Require
from tests.trust.conftest import record, sized

__all__ = ["record", "sized"]

Kustomize = Callable[[Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def kustomize(require: Require) -> Kustomize:
    """Builds a kustomization as `kubectl apply -k` does before it sends it anywhere."""
    kubectl = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    require(kubectl, "kubectl is not installed")

    def build(folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([str(kubectl), "kustomize", str(folder)], capture_output=True, text=True)

    return build
