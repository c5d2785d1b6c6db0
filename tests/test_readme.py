"""The README's commands, replies, figures and lists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from models.bundle import ModelBundle
from service.schemas import EXAMPLE_FEATURES
from service.settings import ENVIRONMENT_PREFIX, Settings
from tests.conftest import ROOT, Require
from training.dataset import Dataset

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"```sh\n(.*?)```(?:\n\n```json\n(.*?)```)?", README, re.DOTALL)
# Those that other tests run: of the Makefile, of training, and of the container.
RUN_ELSEWHERE = {
    "make serve",
    "make test",
    "make train",
    "make image",
    ".venv/bin/python -m training --help",
    "podman run --rm --read-only --cap-drop=all -p 8000:8000 music-origin",
}


def test_commands_run_and_reply_as_shown(client: httpx.Client, tmp_path: Path, require: Require) -> None:
    require(shutil.which("curl"), "curl is not installed")
    address = f"{client.base_url.host}:{client.base_url.port}"
    replies = 0
    for command, shown in COMMANDS:
        if set(command.splitlines()) <= RUN_ELSEWHERE:
            continue
        command = command.replace("localhost:8000", address)
        run = subprocess.run(["sh", "-e", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert ("curl" in command) == bool(shown) or "/genres" in command
        if shown:
            expected, reply = json.loads(shown), json.loads(run.stdout)
            assert reply.pop("distances", []) == pytest.approx(expected.pop("distances", []), abs=1e-4)
            for name in ("distance", "probability"):
                assert reply.pop(name, 0) == pytest.approx(expected.pop(name, 0), abs=1e-4)
            assert reply == expected
            replies += 1
    assert replies == 5
    assert json.loads((tmp_path / "piece.json").read_text()) == {"features": EXAMPLE_FEATURES}


def test_every_target_exists() -> None:
    targets = set(re.findall(r"[`\n]make (\w+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert targets == {"serve", "test", "train", "image", "bench", "check", "lock"}
    makefile = (ROOT / "Makefile").read_text()
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_figures_are_those_of_the_models(bundle: ModelBundle) -> None:
    rows = re.findall(r"^\| `(\w+)`: .*? (\d+) epochs \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \|", README, re.MULTILINE)
    assert [row[0] for row in rows] == ["simple", "hidden"]
    for name, epochs, parameters, training_accuracy, validation_accuracy in rows:
        summary = bundle.manifest.networks[name]
        assert int(epochs) == summary.epochs
        assert parameters == f"{bundle.networks[name].parameter_count:,}"
        assert training_accuracy == f"{summary.training_accuracy:.3f}"
        assert validation_accuracy == f"{summary.validation_accuracy:.3f}"
    for name, summary in bundle.manifest.networks.items():
        losses = f"{summary.training_log_loss:.3f} in training and {summary.validation_log_loss:.3f} in validation"
        assert f"`{name}`: {losses}" in " ".join(README.split())
    assert f"K-means cost {bundle.manifest.kmeans_cost:.2f}" in README
    assert bundle.manifest.seed == 0


def test_figures_of_always_north_are_those_of_the_data(dataset: Dataset, bundle: ModelBundle) -> None:
    training, validation = (dataset.north_of_20[rows].mean() for rows in vars(dataset.split(0)).values())
    assert f"| always north | | {training:.3f} | {validation:.3f} |" in README
    assert f"{validation:.3f}" == f"{bundle.manifest.majority_accuracy:.3f}"


def test_settings_are_listed() -> None:
    listed = re.findall(rf"^\| `{ENVIRONMENT_PREFIX}(\w+)` \| `?(.*?)`? \| (.*) \|$", README, re.MULTILINE)
    known = []
    for name, field in Settings.model_fields.items():
        default = field.default.relative_to(ROOT) if isinstance(field.default, Path) else field.default
        known.append((name.upper(), str(default), field.description))
    assert listed == known


def test_tree_names_every_file() -> None:
    tree = README.partition("## What is where")[2].split("```")[1]
    named = set()
    folder = ""
    for line in tree.strip().splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
        named.add(name if name == folder else folder + name)
    for package in ("models", "service", "training"):
        for path in (ROOT / package).glob("[!_]*.py"):
            assert f"{package}/{path.name}" in named
    for entry in named:
        assert (ROOT / entry).exists(), entry
