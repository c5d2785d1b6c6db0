import dataclasses
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE, load_bundle, save_bundle
from models.bundle import Manifest, ModelBundle
from models.predictors import NearestCentroid
from training import agreement
from training.__main__ import main

COMMAND = [sys.executable, "-m", "training"]


def train(*arguments: object, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs training as a user does, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "MUSIC_ORIGIN_DATA"}
    if data:
        environment["MUSIC_ORIGIN_DATA"] = str(data)
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], env=environment, cwd=DEFAULT_BUNDLE.parents[2], capture_output=True, text=True
    )


@pytest.fixture
def own_file(made_lines: list[str], tmp_path: Path) -> Path:
    path = tmp_path / "own.txt"
    path.write_text("\n".join(made_lines))
    return path


FILES = {"bundle.npz", "simple.keras", "hidden.keras", "places.keras"}


def written(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its name there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def figures(manifest: Manifest) -> list[float]:
    accuracies = [
        accuracy
        for network in manifest.networks.values()
        for accuracy in (network.training_accuracy, network.validation_accuracy)
    ]
    return [manifest.majority_accuracy, *accuracies]


def test_default_run_reproduces_the_committed_figures(data_file: Path, tmp_path: Path, bundle: ModelBundle) -> None:
    run = train("--output", tmp_path, data=data_file)
    assert run.returncode == 0, run.stderr
    fresh, committed = written(tmp_path), written(DEFAULT_BUNDLE.parent)
    assert fresh.keys() == committed.keys()
    trained = load_bundle(tmp_path / "bundle.npz")
    assert trained.manifest.data_sha256 == bundle.manifest.data_sha256
    assert trained.manifest.kmeans_cost == pytest.approx(bundle.manifest.kmeans_cost)
    assert [genre.size for genre in trained.manifest.genres] == [genre.size for genre in bundle.manifest.genres]
    # Another processor may round otherwise; a few of 259 rows may then change sides.
    assert figures(trained.manifest) == pytest.approx(figures(bundle.manifest), abs=0.015)
    evaluated, reported = (json.loads(files["metrics.json"]) for files in (fresh, committed))
    assert evaluated["model_version"] == trained.version
    for protocol, models in reported["north"].items():
        for model, metrics in models.items():
            accuracy = evaluated["north"][protocol][model]["accuracy"]["mean"]
            assert accuracy == pytest.approx(metrics["accuracy"]["mean"], abs=0.01 if "random" in protocol else 0.03)
    # On a machine that gives the committed models, all else is as committed too.
    if trained.fingerprint == bundle.fingerprint and evaluated["libraries"] == reported["libraries"]:
        assert fresh == committed

    shown = run.stdout
    assert "1,059: 800 to train, 259 to validate" in shown
    assert "679 of 1,059" in shown
    assert f"{trained.manifest.kmeans_cost:.4f}" in shown
    for network in trained.manifest.networks.values():
        assert f"{network.training_accuracy:.3f}" in shown
        assert f"{network.validation_accuracy:.3f}" in shown
    assert trained.version in shown
    assert "22 files in" in shown
    assert "seconds" in shown


def test_same_seed_gives_the_same_models_and_another_seed_others(data_file: Path, tmp_path: Path) -> None:
    for output, seed in (("first", 7), ("second", 7), ("third", 8)):
        run = train("--data", data_file, "--output", tmp_path / output, "--seed", seed, "--epochs", 3, "--quick")
        assert run.returncode == 0, run.stderr
        assert written(tmp_path / output).keys() == FILES
    first, second, third = (written(tmp_path / output) for output in ("first", "second", "third"))
    assert first == second
    assert all(first[name] != third[name] for name in FILES)


def test_whole_report_is_the_same_byte_for_byte(own_file: Path, tmp_path: Path) -> None:
    for output in ("first", "second"):
        run = train(
            "--data", own_file, "--no-verify", "--genres", 3, "--epochs", 2, "--output", tmp_path / "new" / output
        )
        assert run.returncode == 0, run.stderr
    first, second = (written(tmp_path / "new" / output) for output in ("first", "second"))
    assert first == second
    assert len(first) == len(FILES) + 2 + 16
    card = first["MODEL_CARD.md"].decode()
    assert "A file of the user's own" in card
    assert "| 3 relu" not in card
    manifest = load_bundle(tmp_path / "new" / "first" / "bundle.npz").manifest
    assert (manifest.rows, manifest.training_rows, manifest.validation_rows) == (60, 45, 15)
    assert [genre.size for genre in manifest.genres] == [20, 20, 20]
    assert {network.epochs for network in manifest.networks.values()} == {2}
    assert [place.country for place in manifest.places] == ["Kenya", "Japan", "Italy"]


def test_quick_models_are_those_of_the_whole_run_but_for_the_evaluation(own_file: Path, tmp_path: Path) -> None:
    options = ["--data", own_file, "--no-verify", "--genres", 3, "--epochs", 2]
    assert train(*options, "--output", tmp_path / "whole").returncode == 0
    run = train(*options, "--output", tmp_path / "quick", "--quick")
    assert run.returncode == 0
    assert "is of other models" not in run.stderr
    whole, quick = written(tmp_path / "whole"), written(tmp_path / "quick")
    assert quick.keys() == FILES
    assert {name for name in FILES if whole[name] != quick[name]} == {"bundle.npz"}
    evaluated, fitted = (load_bundle(tmp_path / output / "bundle.npz") for output in ("whole", "quick"))
    assert evaluated.manifest.accuracy_known_places
    assert fitted.manifest.accuracy_known_places == fitted.manifest.accuracy_unseen_places == {}
    assert json.loads(whole["metrics.json"])["model_version"] == evaluated.version
    assert evaluated.version in whole["MODEL_CARD.md"].decode()
    accuracies = {
        name: getattr(evaluated.manifest, name) for name in ("accuracy_known_places", "accuracy_unseen_places")
    }
    completed = dataclasses.replace(fitted, manifest=dataclasses.replace(fitted.manifest, **accuracies))
    assert completed.fingerprint == evaluated.fingerprint
    assert "is of other models" in train(*options, "--output", tmp_path / "whole", "--quick").stderr


def test_data_too_small_to_evaluate_are_refused_unless_quick(made_lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "few.txt"
    path.write_text("\n".join(made_lines[:9]))
    options = ["--data", path, "--no-verify", "--genres", 3, "--epochs", 1, "--output", tmp_path / "output"]
    run = train(*options)
    assert run.returncode == 2
    assert "these data are too few to be evaluated" in run.stderr
    assert run.stderr.rstrip().endswith("pass --quick")
    assert "Traceback" not in run.stderr
    assert written(tmp_path / "output") == {}
    assert train(*options, "--quick").returncode == 0
    assert written(tmp_path / "output").keys() == FILES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "none.txt"], "none.txt cannot be read"),
        (["--data", "{own_file}"], "is not the published data set"),
        (["--data", "{own_file}", "--no-verify", "--genres", "61"], "61 clusters need at least 61 distinct rows"),
        (
            ["--data", "{own_file}", "--no-verify", "--output", "{own_file}"],
            "cannot be written (File exists): choose another",
        ),
        (["--data", "{own_file}", "--no-verify", "--output", "/proc"], "/proc cannot be written"),
        (["--genres", "0"], "argument --genres: must be a whole number from 1 to 1000"),
        (["--epochs", "ten"], "argument --epochs: must be a whole number"),
        (["--seed", "-1"], "argument --seed: must be a whole number from 0 to 4294967295"),
    ],
)
def test_mistake_is_one_sentence_and_status_2(own_file: Path, arguments: list[str], message: str) -> None:
    run = train(*(argument.format(own_file=own_file) for argument in arguments))
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert "error: " in run.stderr.splitlines()[-1]


def test_help_names_every_option() -> None:
    run = train("--help")
    assert run.returncode == 0
    for option in ("--data", "--no-verify", "--output", "--seed", "--genres", "--epochs", "--quick"):
        assert option in run.stdout


@pytest.mark.parametrize("disagreement", ["differs between NumPy and Keras", "other genres than training found"])
def test_models_that_disagree_with_training_are_not_saved(
    own_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    disagreement: str,
) -> None:
    if "Keras" in disagreement:
        monkeypatch.setattr(agreement, "MAX_DIFFERENCE", 0.0)
    else:
        monkeypatch.setattr(NearestCentroid, "predict", lambda *_: np.zeros(60, np.intp))
    output = tmp_path / "output"
    arguments = [
        *("--data", str(own_file), "--no-verify", "--genres", "3", "--epochs", "1"),
        *("--output", str(output), "--quick"),
    ]
    assert main(arguments) == 2
    assert disagreement in capsys.readouterr().err
    assert list(output.iterdir()) == []


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Python's own handling of Ctrl-C, which may be ignored around the tests."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, previous) is signal.default_int_handler


def interrupted(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def interrupted_in_compiled_code(*_: object) -> None:
    try:
        interrupted()
    except KeyboardInterrupt:
        raise TypeError from None


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("save", [interrupted, interrupted_in_compiled_code])
def test_interrupt_while_saving_leaves_all_files_as_they_were(
    save: Callable[..., None], own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    for name in FILES:
        (output / name).write_text("old")
    monkeypatch.setattr("training.__main__.save_bundle", save)
    arguments = [
        *("--data", str(own_file), "--no-verify", "--genres", "3", "--epochs", "1"),
        *("--output", str(output), "--quick"),
    ]
    assert main(arguments) == 130
    assert {path.name: path.read_text() for path in output.iterdir()} == dict.fromkeys(FILES, "old")


@pytest.mark.usefixtures("interrupts")
def test_error_without_an_interrupt_is_not_called_one(
    own_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr("training.__main__.fit_genres", fail)
    with pytest.raises(TypeError, match="a mistake"):
        main(["--data", str(own_file), "--no-verify", "--quick", "--output", str(tmp_path)])


def test_interrupt_leaves_the_old_bundle_whole(own_file: Path, tmp_path: Path, bundle: ModelBundle) -> None:
    output = tmp_path / "output"
    output.mkdir()
    save_bundle(bundle, output / "bundle.npz")
    terminal, process_side = pty.openpty()
    arguments = [f"--data={own_file}", "--no-verify", "--genres=3", "--epochs=100000", f"--output={output}"]
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=process_side,
        stderr=process_side,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored around the tests
    ) as process:
        os.close(process_side)
        shown = b""
        while not re.search(rb"simple network.*%", shown):
            shown += os.read(terminal, 4096)
        process.send_signal(signal.SIGINT)
        while chunk := read_terminal(terminal):
            shown += chunk
    os.close(terminal)
    assert process.returncode == 130
    assert b"interrupted: the saved models are whole" in shown
    assert b"Traceback" not in shown
    assert [path.name for path in output.iterdir()] == ["bundle.npz"]
    assert load_bundle(output / "bundle.npz").fingerprint == bundle.fingerprint


def read_terminal(terminal: int) -> bytes:
    """What the process wrote to its terminal, or nothing when it has closed it."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
