"""Training that is killed while it saves: the bundle on disk is always the old one or the new one, whole."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from models.archive import load_bundle, save_bundle
from models.bundle import ModelBundle
from tests.bundles import with_centroids
from tests.conftest import ROOT
from tests.trust.conftest import Record, Sized
from training.__main__ import write_all

# Saves one bundle and the other in turn as training does, until it is killed.
SAVE_FOR_EVER = """
import sys
from functools import partial
from pathlib import Path
from models.archive import load_bundle, save_bundle
from training.__main__ import write_all
old, new, output = map(Path, sys.argv[1:])
bundles = [load_bundle(new), load_bundle(old)]
print("saving", flush=True)
while True:
    for bundle in bundles:
        write_all(output, {"MODEL_CARD.md": Path.touch, "bundle.npz": partial(save_bundle, bundle)})
"""

# Saves the new bundle over the old one again and again, each time in a process that is killed one step later, until one
# comes to the end; a step is a call of compiled code, for nothing else changes files. Then tells what each left.
KILLED_AT_EVERY_STEP = """
import json, os, signal, sys
from pathlib import Path
from models.archive import load_bundle, replaced_whole, save_bundle
old, new, output = map(Path, sys.argv[1:])
path = output / "bundle.npz"
contents = {old.read_bytes(): "old", new.read_bytes(): "new"}
bundle = load_bundle(new)
saving = replaced_whole.__wrapped__.__code__

def save_and_die(step):
    def count(frame, event, _):
        nonlocal step
        if event == "call" and frame.f_code is saving:
            sys.setprofile(countdown)
    def countdown(frame, event, _):
        nonlocal step
        step -= event == "c_return"
        if step < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)
    save_bundle(bundle, path)
    sys.setprofile(None)
    os._exit(0)

left, status = [], signal.SIGKILL
while status == signal.SIGKILL:
    path.write_bytes(old.read_bytes())
    child = os.fork() or save_and_die(len(left))
    status = os.waitpid(child, 0)[1]
    left.append([contents.get(path.read_bytes(), "neither"), len(os.listdir(output)) - 1])
print(json.dumps([left, status]))
"""


@pytest.fixture
def saved(tmp_path: Path, bundle: ModelBundle) -> dict[str, Path]:
    """Where two different bundles are, and the folder of a third that is to be one of the two."""
    places = {"old": tmp_path / "old.npz", "new": tmp_path / "new.npz", "output": tmp_path / "output"}
    places["output"].mkdir()
    save_bundle(bundle, places["old"])
    save_bundle(with_centroids(bundle, bundle.genres.centroids[::-1]), places["new"])
    save_bundle(bundle, places["output"] / "bundle.npz")
    return places


def leaves_nothing_else(bundle: ModelBundle, output: Path) -> bool:
    """Whether the next training clears up after those that were killed."""
    write_all(output, {"MODEL_CARD.md": Path.touch, "bundle.npz": partial(save_bundle, bundle)})
    return {each.name for each in output.iterdir()} == {"bundle.npz", "MODEL_CARD.md"}


def test_bundle_is_whole_whenever_saving_is_killed(
    saved: dict[str, Path], bundle: ModelBundle, sized: Sized, record: Record
) -> None:
    versions = {load_bundle(saved[name]).fingerprint: name for name in ("old", "new")}
    generator = random.Random(6)
    found: Counter[str] = Counter()
    kills = sized(50, 10)
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_FOR_EVER, *saved.values()], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(generator.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        found[versions[load_bundle(saved["output"] / "bundle.npz").fingerprint]] += 1
        found["left a temporary file"] += any(".tmp." in each.name for each in saved["output"].iterdir())
    record(
        f"training killed at {kills} random instants while it saves",
        ", ".join(f"{found[name]} {name}" for name in ("old", "new", "left a temporary file")),
        "the old bundle or the new one, whole",
        found["old"] + found["new"] == kills and leaves_nothing_else(bundle, saved["output"]),
    )


def test_bundle_is_whole_when_saving_is_killed_at_any_step(
    saved: dict[str, Path], bundle: ModelBundle, record: Record
) -> None:
    command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, *map(str, saved.values())]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    left, status = json.loads(finished.stdout)
    found = [content for content, _ in left]
    counts = Counter(found)
    steps = len(left) - 1  # the last one came to the end
    in_order = found == ["old"] * counts["old"] + ["new"] * counts["new"]
    record(
        f"a save killed at each of its {steps} steps",
        ", ".join(f"{count} {name}" for name, count in counts.items()),
        "the old bundle, and from some step on the new one",
        in_order and status == 0 and min(counts["old"], counts["new"]) > 1,
    )
    assert max(temporary_files for _, temporary_files in left) == 1, "each clears up after the one before"
    assert leaves_nothing_else(bundle, saved["output"])


def test_save_leaves_the_temporary_files_of_others_alone(saved: dict[str, Path], bundle: ModelBundle) -> None:
    """That of a process that runs, of another bundle, and what only looks like one."""
    names = {
        "bundle.1.tmp.npz",
        "bundle.999999999.tmp.1.tmp.npz",
        "other.999999999.tmp.npz",
        "bundle.999999999.tmp.npz.bak",
        "bundle.x.tmp.npz",
    }
    for name in names:
        (saved["output"] / name).touch()
    for name in ("bundle.999999999.tmp.npz", "bundle.1.tmp.999999999.tmp.npz"):
        (saved["output"] / name).touch()
    save_bundle(bundle, saved["output"] / "bundle.npz")
    assert {each.name for each in saved["output"].iterdir()} == names | {"bundle.npz"}
