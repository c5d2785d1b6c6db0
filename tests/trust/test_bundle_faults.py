"""Bundles that are absent, damaged, forged or of another kind: the service never starts on one, and says why."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.archive import DEFAULT_BUNDLE, MAX_BUNDLE_BYTES, BundleError, load_bundle, save_bundle
from models.bundle import ModelBundle
from tests.bundles import altered, change_manifest, with_centroids
from tests.conftest import ROOT, WITH_DOOR, free_port
from tests.trust.conftest import Record

Fault = Callable[[Path, ModelBundle], object]

INCOMPLETE = "is not a complete model bundle"
ALTERED = "was altered after training"
TO_ITS_END = r"[^.!?\n]*\??"  # of the sentence


class Harm:
    """Unpickled, it would write to the log."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo harm >&2",)


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def bring_arrays_of_another(path: Path, bundle: ModelBundle) -> None:
    with np.load(path) as saved:
        manifest = saved["manifest"]
    save_bundle(with_centroids(bundle, bundle.genres.centroids[::-1]), path)
    altered(path, manifest=manifest)


def bomb(path: Path, _: ModelBundle) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.npy", bytes(MAX_BUNDLE_BYTES + 1))


def bomb_that_lies(path: Path, _: ModelBundle) -> None:
    """It says that its 512 MiB are a thousand bytes."""
    size = 2**29
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.npy", bytes(size))
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))


def claim_terabytes(path: Path, _: ModelBundle) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 68), }\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", member)


def put_nan_among_the_weights(path: Path, bundle: ModelBundle) -> None:
    centroids = bundle.genres.centroids.copy()
    centroids[3, 7] = np.nan
    save_bundle(with_centroids(bundle, centroids), path)


def cut_a_feature_off(path: Path, bundle: ModelBundle) -> None:
    save_bundle(with_centroids(bundle, bundle.genres.centroids[:, 1:].copy()), path)


def put_a_folder(path: Path, _: ModelBundle) -> None:
    path.unlink()
    path.mkdir()


# What befalls the file, and what is said of it.
FAULTS: dict[str, tuple[Fault, str]] = {
    "absent": (lambda path, _: path.unlink(), r"cannot be read \(No such file or directory\)"),
    "empty": (lambda path, _: path.write_bytes(b""), INCOMPLETE),
    "truncated": (lambda path, _: os.truncate(path, 400_000), INCOMPLETE),
    "a byte of a weight flipped": (lambda path, _: flip(path, 300_000), INCOMPLETE),
    "a byte of a date flipped": (lambda path, _: flip(path, 10), rf"{ALTERED} \(not in its models\)"),
    "bytes after its end": (lambda path, _: path.write_bytes(path.read_bytes() + b"\0"), ALTERED),
    "another's arrays": (bring_arrays_of_another, rf"{ALTERED} \(its fingerprint differs\)"),
    "a pickle inside": (lambda path, _: altered(path, centroids=np.array([Harm()], dtype=object)), INCOMPLETE),
    "a zip bomb": (bomb, "is larger than 64 MiB"),
    "a zip bomb that lies": (bomb_that_lies, rf"{INCOMPLETE} \(its members are compressed\)"),
    "terabytes claimed": (claim_terabytes, INCOMPLETE),
    "NaN among the weights": (put_nan_among_the_weights, rf"{INCOMPLETE} \(centroids holds what is no finite number\)"),
    "wrong shapes": (cut_a_feature_off, rf"{INCOMPLETE} \(its centroids and genres do not match\)"),
    "unknown format": (
        lambda path, _: change_manifest(path, lambda manifest: manifest.update(format_version=99)),
        "has bundle format 99, and this release reads 4",
    ),
    "an accuracy in per cent": (
        lambda path, _: change_manifest(path, lambda manifest: manifest["accuracy_known_places"].update(places=80.0)),
        rf"{INCOMPLETE} \(a share or an accuracy is not between 0 and 1\)",
    ),
    "another kind of file": (lambda path, _: shutil.copy(ROOT / "README.md", path), INCOMPLETE),
    "another kind of archive": (
        lambda path, _: shutil.copy(DEFAULT_BUNDLE.with_name("simple.keras"), path),
        INCOMPLETE,
    ),
    "a folder": (put_a_folder, r"cannot be read \(Is a directory\)"),
    "unreadable": (lambda path, _: path.chmod(0), r"cannot be read \(Permission denied\)"),
}


@pytest.fixture
def path(tmp_path: Path, bundle: ModelBundle) -> Path:
    path = tmp_path / "bundle.npz"
    save_bundle(bundle, path)
    return path


def failed_start(path: Path, *options: str) -> tuple[int, str]:
    """The exit status and the log of a server that is to serve this bundle; no client may ever reach it."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "service.app:app", *WITH_DOOR, "--port", str(port), *options]
    if os.geteuid() == 0:  # root reads everything; without these capabilities it reads what others do
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    environment = os.environ | {"MUSIC_ORIGIN_BUNDLE": str(path)}
    with (path.parent / "log").open("w+") as log:
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as process:
            try:
                while process.poll() is None:
                    with socket.socket() as client:
                        assert client.connect_ex(("127.0.0.1", port)) != 0, "it listens"
                    time.sleep(0.01)
            finally:
                process.kill()
        log.seek(0)
        return process.returncode, log.read()


def shortcomings(path: Path, bundle: ModelBundle, name: str) -> Iterator[str]:
    """What is amiss in how a server takes this fault."""
    fault, said = FAULTS[name]
    save_bundle(bundle, path)
    fault(path, bundle)
    status, log = failed_start(path)
    if status <= 0:
        yield f"{name}: status {status}"
    sentences = [line for line in log.splitlines() if str(path) in line]
    if len(sentences) != 1 or not re.fullmatch(rf"ERROR: +{re.escape(str(path))} {said}{TO_ITS_END}", sentences[0]):
        yield f"{name}: {sentences}"
    if "Traceback" in log or "running on" in log or "harm" in log:
        yield f"{name}: {log}"


def test_service_never_starts_on_a_bad_bundle(tmp_path: Path, bundle: ModelBundle, record: Record) -> None:
    found: list[str] = []
    for index, name in enumerate(FAULTS):
        folder = tmp_path / str(index)
        folder.mkdir()
        found += shortcomings(folder / "bundle.npz", bundle, name)
    record(
        f"a server on each of {len(FAULTS)} kinds of bad bundle",
        found or f"{len(FAULTS)} never listened, ended, and gave one sentence",
        "never listens, ends with an error's status, says in one sentence what is wrong",
        not found,
    )


def test_workers_never_answer_from_a_bad_bundle(path: Path) -> None:
    flip(path, 300_000)
    _, log = failed_start(path, "--workers=2")
    assert f"{path} {INCOMPLETE}" in log
    assert "Traceback" not in log


def refused(path: Path, content: bytes) -> bool:
    """Whether a bundle of this content is refused in one sentence that names it."""
    path.write_bytes(content)
    try:
        load_bundle(path)
    except BundleError as error:
        return re.fullmatch(rf"{re.escape(str(path))} \w{TO_ITS_END}", str(error)) is not None
    return False


def test_truncated_bundles_are_refused(path: Path, record: Record) -> None:
    content = path.read_bytes()
    lengths = [*random.Random(3).sample(range(len(content)), 200), 0, 1, len(content) - 1]
    taken = [length for length in lengths if not refused(path, content[:length])]
    record(f"a bundle cut off at {len(lengths)} points", f"{len(taken)} loaded: {taken}", "none loads", not taken)


def bytes_of_no_array(path: Path) -> list[int]:
    """Where the archive speaks of itself: what zip readers heed little, and no fingerprint covers."""
    content = path.read_bytes()
    positions = set(range(len(content)))
    with zipfile.ZipFile(path) as archive:
        for member in map(archive.read, archive.namelist()):
            start = content.index(member)
            positions -= set(range(start, start + len(member)))
    return sorted(positions)


def test_flipped_bytes_are_refused(path: Path, record: Record) -> None:
    """Random bytes are nearly all those of arrays, so the archive's own have their turn too."""
    content = bytearray(path.read_bytes())
    generator = random.Random(4)
    positions = generator.sample(range(len(content)), 1000) + bytes_of_no_array(path)
    taken = []
    for position in positions:
        kept = content[position]
        content[position] ^= generator.randint(1, 255)
        if not refused(path, bytes(content)):
            taken.append(position)
        content[position] = kept
    assert not refused(path, bytes(content)), "whole again, it loads"
    record(f"each of {len(positions)} bytes flipped", f"{len(taken)} loaded: {taken}", "none loads", not taken)
