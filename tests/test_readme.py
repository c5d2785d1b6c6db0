"""The README's commands, replies, figures and lists."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.archive import DEFAULT_BUNDLE
from service.app import DESCRIPTION
from service.schemas import EXAMPLE_FEATURES, NorthOf20Options
from service.settings import ENVIRONMENT_PREFIX, Settings
from tests.conftest import ROOT, Require, assert_close
from training.dataset import Dataset

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = {"sh": ["sh", "-e", "-c"], "python": [sys.executable, "-W", "error", "-c"]}
# Those that other tests run: of the Makefile, of training, of scoring, and of the container.
RUN_ELSEWHERE = {
    "make serve",
    "make test",
    "make train",
    "make image",
    "make catalogue ROWS=10000000 OUT=build/catalogue",
    "make score IN=build/catalogue OUT=build/scored",
    ".venv/bin/python -m dask scheduler --host 127.0.0.1 --scheduler-file build/scheduler.json",
    ".venv/bin/python -m dask worker --scheduler-file build/scheduler.json --nthreads 1 --nworkers 2",
    ".venv/bin/python -m scoring build/catalogue build/scored-too --scheduler-file build/scheduler.json",
    ".venv/bin/python -m training --help",
    ".venv/bin/python -m service --help",
    "podman run --rm --read-only --cap-drop=all -p 8000:8000 music-origin",
}


def test_commands_run_and_reply_as_shown(client: httpx.Client, tmp_path: Path, require: Require) -> None:
    require(shutil.which("curl"), "curl is not installed")
    address = f"{client.base_url.host}:{client.base_url.port}"
    output, replies = "", 0
    for language, text in BLOCKS:
        if language not in COMMANDS:
            assert_shown(language, output, text)
            replies += 1
        elif not set(text.splitlines()) <= RUN_ELSEWHERE:
            command = [*COMMANDS[language], text.replace("localhost:8000", address)]
            run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
            output = run.stdout
            assert '"type":"/problems/' not in output or "NaN" in text
    assert replies == 14
    assert json.loads((tmp_path / "piece.json").read_text()) == {"features": EXAMPLE_FEATURES}


def assert_shown(language: str, output: str, shown: str) -> None:
    """What was printed is what the README shows, but for the rounding of numbers."""
    if language == "json":
        return assert_close(json.loads(output), json.loads(shown))
    cells = [[as_number(cell) for cell in re.split(r"[,\n]", text)] for text in (output, shown)]
    assert_close(*cells)
    return None


def as_number(cell: str) -> float | str:
    """The number that the cell is, or its text."""
    try:
        return float(cell)
    except ValueError:
        return cell


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed metrics.json."""
    return dict(json.loads(DEFAULT_BUNDLE.with_name("metrics.json").read_text()))


def test_every_link_within_the_project_leads_somewhere() -> None:
    names = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "deploy/proxy/README.md")
    for name in (*names, *(f"benchmarks/{name}.md" for name in ("PAGE", "REPLICAS", "RESULTS", "SCORING"))):
        targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / name).read_text())
        for target in targets:
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"
        assert targets or name != "README.md"


def test_every_target_exists() -> None:
    targets = set(re.findall(r"[`\n]make ([\w-]+)", README + (ROOT / "CONTRIBUTING.md").read_text()))
    assert targets >= {
        "serve",
        "test",
        "train",
        "report",
        "image",
        "bench",
        "bench-quick",
        "bench-replicas",
        "bench-scoring",
        "bench-training",
        "catalogue",
        "score",
        "selection",
    }
    makefile = (ROOT / "Makefile").read_text()
    assert targets <= set(" ".join(re.findall(r"^([\w -]+):", makefile, re.MULTILINE)).split())


def test_figures_are_those_of_the_evaluation(figures: dict[str, Any]) -> None:
    table = README.partition("| model | accuracy, random splits |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `?([^`:|]+?)`?(?::.*?)? \| (.*) \| (.*) \| (.*) \|$", table, re.MULTILINE)[1:]
    random_splits, held_out = figures["north"]["random splits"], figures["north"]["held-out places"]
    assert [row[0] for row in rows] == list(random_splits)
    for model, accuracy, log_loss, held_out_accuracy in rows:
        expected = random_splits[model]["accuracy"]
        assert accuracy == "{mean:.3f} ± {spread:.3f} ({low:.3f} to {high:.3f})".format(**expected)
        assert log_loss == f"{random_splits[model]['log_loss']['mean']:.3f}"
        assert held_out_accuracy == "{mean:.3f} ± {spread:.3f}".format(**held_out[model]["accuracy"])


def test_figures_in_words_are_those_of_the_evaluation(figures: dict[str, Any]) -> None:
    words = " ".join(README.split())
    held_out, ahead = figures["north"]["held-out places"], figures["places_ahead"]
    origin = figures["origin"]["places"]
    best = min((name for name in figures["origin"] if name != "places"), key=lambda name: mean_error(figures, name))
    assert best == "7 nearest neighbours on coordinates"
    for sentence in (
        f"the default network tells the side of 20° N of {held_out['places']['accuracy']['mean']:.3f} of the pieces",
        f"always answering north is right for {held_out['majority']['accuracy']['mean']:.3f}",
        f"(against the SVM {signed(ahead['random splits']['RBF SVM (C = 3)']['accuracy'])}, compared split by split)",
        f"error is {figures['pooled_calibration_error']['places']:.3f} over all splits together, and "
        f"{figures['north']['random splits']['places']['calibration_error']['mean']:.3f} within one",
        f"by more than chance ({signed(ahead['held-out places']['majority']['accuracy'])})",
        f"the true one for {figures['place']['top_1']['mean']:.3f} of the pieces",
        f"among the first three for {figures['place']['top_3']['mean']:.3f}",
        f"lies {origin['mean_error_km']['mean']:,.0f} km from the true place in the mean of a fold and "
        f"{origin['median_error_km']['mean']:,.0f} km in its median, where it expects "
        f"{origin['expected_error_km']['mean']:,.0f} km",
        f"{mean_error(figures, best):,.0f} km and {figures['origin'][best]['median_error_km']['mean']:,.0f} km",
        f"K-means cost {figures['kmeans']['cost']:.2f}",
        f"adjusted Rand index of {figures['genre_quality']['stability_over_seeds']['mean']:.2f}",
    ):
        assert sentence in words, sentence


def test_calibration_is_worth_what_the_readme_says(figures: dict[str, Any]) -> None:
    words, effects = " ".join(README.split()), figures["calibration"]
    assert list(effects) == ["simple", "hidden", "places"]
    for name, effect in effects.items():
        raw, calibrated = (effect[which]["log_loss"]["mean"] for which in ("raw", "calibrated"))
        assert f"of `{name}` from {raw:.3f} to {calibrated:.3f}" in words
        gain = effect["gain"]["log_loss"]
        assert gain["low"] < 0 < gain["high"]
    before, after = (
        "{:.3f}, {:.3f} and {:.3f}".format(*(effect[f"pooled_{which}"] for effect in effects.values()))
        for which in ("raw", "calibrated")
    )
    assert f"error over all splits together from {before} to {after}" in words


def mean_error(figures: dict[str, Any], name: str) -> float:
    return float(figures["origin"][name]["mean_error_km"]["mean"])


def signed(estimate: dict[str, float]) -> str:
    return "{mean:+.3f}, {low:+.3f} to {high:+.3f}".format(**estimate)


def test_cost_of_one_cluster_is_that_of_the_data(dataset: Dataset) -> None:
    assert f"of {dataset.features.var(axis=0).sum():.2f} with one cluster" in " ".join(README.split())


def test_places_is_ahead_where_the_readme_says_so(figures: dict[str, Any]) -> None:
    known, unheard = figures["places_ahead"]["random splits"], figures["places_ahead"]["held-out places"]
    assert all(models["log_loss"]["low"] > 0 for models in known.values())
    ahead_in_accuracy = {model for model, metrics in known.items() if metrics["accuracy"]["low"] > 0}
    assert ahead_in_accuracy == known.keys() - {"RBF SVM (C = 3)"}
    assert unheard["majority"]["accuracy"]["low"] < 0
    # The API says that the error it expects is a little more than the true one.
    origin = figures["origin"]["places"]
    assert origin["mean_error_km"]["mean"] < origin["expected_error_km"]["mean"] < 1.2 * origin["mean_error_km"]["mean"]


def test_default_network_is_the_one_that_the_evaluation_supports(figures: dict[str, Any]) -> None:
    """The README and the API's description say so in words."""
    networks = {name: figures["north"]["random splits"][name] for name in figures["networks"]}
    default = NorthOf20Options().network
    assert default == max(networks, key=lambda name: float(networks[name]["accuracy"]["mean"]))
    assert default == min(networks, key=lambda name: float(networks[name]["log_loss"]["mean"]))
    assert default == min(networks, key=lambda name: float(figures["pooled_calibration_error"][name]))


def test_figures_of_the_api_description_are_those_of_the_evaluation(figures: dict[str, Any]) -> None:
    held_out = figures["north"]["held-out places"]
    lowest, highest = (round(100 * each) for each in (0.65, 0.70))
    assert f"every network falls to between {lowest} and {highest} in 100" in " ".join(DESCRIPTION.split())
    for network in figures["networks"]:
        assert lowest / 100 < held_out[network]["accuracy"]["mean"] < highest / 100
    assert f"north is right for {100 * held_out['majority']['accuracy']['mean']:.0f}" in " ".join(DESCRIPTION.split())
    accuracy = figures["north"]["random splits"]["places"]["accuracy"]["mean"]
    assert f"tells the side of 20° N of about {100 * accuracy:.0f} in 100" in " ".join(DESCRIPTION.split())


def test_speed_is_that_of_the_results() -> None:
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text()
    table = README.partition("## How fast it is")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) > 5
    assert set(rows) <= set(results.splitlines())


def test_cost_of_scoring_is_that_of_the_results() -> None:
    results, words = (" ".join((ROOT / name).read_text().split()) for name in ("benchmarks/SCORING.md", "README.md"))
    (seconds,) = re.findall(r"\| 10,000,000 \| ([\d.]+) \|", results)
    (megabytes,) = re.findall(r"A worker takes (\d+) MB however many rows there are", results)
    (ratio,) = re.findall(r"two workers score ([\d.]+) times as many a second as Ray Data does", results)
    (microseconds,) = re.findall(r"From two workers on 10,000,000 rows: ([\d.]+ µs of a core)", results)
    assert (
        f"takes two cores {seconds} s, {ratio} times as quick as Ray Data, and {megabytes} MB for each worker" in words
    )
    assert f"| {microseconds} a piece |" in words


def test_settings_are_listed() -> None:
    listed = re.findall(rf"^\| `{ENVIRONMENT_PREFIX}(\w+)` \| `?([^|`]*?)`? ?\| (.*) \|$", README, re.MULTILINE)
    known = [
        (name.upper(), as_shown(field.default), field.description) for name, field in Settings.model_fields.items()
    ]
    assert listed == known


def as_shown(default: object) -> str:
    """A setting's default as the README has it."""
    if isinstance(default, Path):
        return str(default.relative_to(ROOT))
    return str(default).lower() if default not in (None, ()) else ""


def test_tree_names_every_file() -> None:
    tree = README.partition("## What is where")[2].split("```")[1]
    named = set()
    folder = ""
    for line in tree.strip().splitlines():
        name = line.split()[0]
        if not line.startswith(" "):
            folder = name
        named.add(name if name == folder else folder + name)
    for package in ("models", "service", "scoring", "training", "benchmarks"):
        for path in (ROOT / package).glob("[!_]*.py"):
            assert f"{package}/{path.name}" in named
    for entry in named:
        assert (ROOT / entry).exists(), entry
