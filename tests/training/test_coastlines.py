import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import ROOT, Require, free_port
from training import coastlines
from training.coastlines import PAGE_FILE, PLOTS_FILE, SHA256, SMALLEST

Ring = NDArray[np.float64]
Pack = Callable[..., Path]

# Two squares that share an edge, each by an arc of its own and that of the edge, and a hole in the first.
TOPOLOGY: dict[str, Any] = {
    "type": "Topology",
    "transform": {"scale": [0.5, 0.25], "translate": [10, -5]},
    "objects": {
        "land": {
            "type": "GeometryCollection",
            "geometries": [{"type": "MultiPolygon", "arcs": [[[0, 1], [3]], [[2, ~0]]]}],
        }
    },
    "arcs": [
        [[20, 0], [0, 40]],
        [[20, 40], [-20, 0], [0, -40], [20, 0]],
        [[20, 0], [20, 0], [0, 40], [-20, 0]],
        [[4, 8], [0, 8], [8, 0], [-8, -8]],
    ],
}
DECODED = [
    [[20, -5], [20, 5], [10, 5], [10, -5], [20, -5]],
    [[12, -3], [12, -1], [16, -1], [12, -3]],
    [[20, -5], [30, -5], [30, 5], [20, 5], [20, -5]],
]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Packs files, by their names, as npm does."""

    def pack(**files: bytes) -> Path:
        package = tmp_path / "package.tgz"
        with tarfile.open(package, "w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"package/{name}.json")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return package

    return pack


def signed_area(ring: Ring) -> float:
    """The area in square degrees of longitude and latitude, below zero if the ring goes clockwise."""
    (x, y), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    return float(np.sum(x * y1 - x1 * y)) / 2


def test_arcs_are_decoded_reversed_and_joined() -> None:
    assert [ring.tolist() for ring in coastlines.decode(TOPOLOGY)] == DECODED


def test_first_point_is_written_whole_and_then_differences() -> None:
    ring = np.array([[-179.9, 8.0], [180.0, 7.9], [0.3, -59.9]])
    assert coastlines.differences(ring) == [-1799, 80, 3599, -1, -1797, -678]


def test_ring_across_the_antimeridian_is_cut_in_two_that_meet() -> None:
    ring = np.array([[170.0, 10], [-170, 20], [-170, 40], [170, 30]])
    west, east = coastlines.cut_at_antimeridian(ring)
    assert west.tolist() == [[-180, 15], [-170, 20], [-170, 40], [-180, 35]]
    assert east.tolist() == [[170, 10], [180, 15], [180, 35], [170, 30]]


def test_ring_that_ends_at_the_antimeridian_stays_on_its_side() -> None:
    ring = np.array([[180.0, 10], [180, 0], [180, 0.01], [170, 0], [-180, 10]])
    (part,) = coastlines.simplified([ring])
    assert sorted(part.tolist()) == [[170, 0], [180, 0], [180, 10]]


def test_cut_points_stay_where_bends_are_small() -> None:
    ring = np.array([[175.0, 0], [180, 0.02], [180, 0.04], [180, 5], [175, 5]])
    assert coastlines.without_small_bends(ring).tolist() == ring.tolist()


def test_areas_are_those_on_the_sphere() -> None:
    hemisphere = np.array([[-180.0, 0], [180, 0], [180, 90], [-180, 90]])
    assert coastlines.enclosed_area(hemisphere) == pytest.approx(360 * 180 / np.pi)
    assert coastlines.enclosed_area(hemisphere[::-1]) == pytest.approx(360 * 180 / np.pi)
    half_as_wide = np.array([[0.0, 59.5], [1, 59.5], [1, 60.5], [0, 60.5]])
    assert coastlines.enclosed_area(half_as_wide) == pytest.approx(0.5, rel=1e-3)


def test_small_bends_go_the_smallest_first() -> None:
    """As the plain algorithm does it, which looks for the smallest triangle anew each time."""
    angles = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radii = 4 + np.random.default_rng(3).normal(0, 0.1, 300)
    ring = np.stack([radii * np.cos(angles), 30 + radii * np.sin(angles)], axis=1)

    left = list(range(300))
    while True:
        sizes = [
            coastlines.enclosed_area(ring[[left[i - 1], left[i], left[(i + 1) % len(left)]]]) for i in range(len(left))
        ]
        if min(sizes) >= SMALLEST:
            break
        del left[int(np.argmin(sizes))]
    assert 20 < len(left) < 200
    assert coastlines.without_small_bends(ring).tolist() == ring[left].tolist()


def test_points_in_line_go() -> None:
    north = np.array([[longitude, 0.0] for longitude in range(80)])
    south = north[::-1] - [0, 8]
    drawn = coastlines.without_small_bends(np.concatenate([north, south]))
    assert drawn.tolist() == [[0, 0], [79, 0], [79, -8], [0, -8]]


def test_four_points_of_every_ring_stay() -> None:
    angles = np.linspace(0, 2 * np.pi, 50, endpoint=False)
    island = 0.05 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert len(coastlines.without_small_bends(island)) == 4


def square(west: float, south: float, side: float) -> Ring:
    """A closed ring, clockwise."""
    return np.array([[0, 0], [0, 1], [1, 1], [1, 0], [0, 0]]) * side + [west, south]


def test_only_what_can_be_seen_is_drawn() -> None:
    island, speck = square(10.04, 0.04, 0.2), square(20, 0, 0.1)
    antarctica, neither = square(0, -70.5, 10), square(0, -69.5, 10)
    drawn = coastlines.simplified([island, speck, antarctica, neither])
    assert [ring.tolist() for ring in drawn] == [
        [[10.0, 0.0], [10.0, 0.2], [10.2, 0.2], [10.2, 0.0]],
        [[0, -69.5], [0, -59.5], [10, -59.5], [10, -69.5]],
    ]


def test_points_that_rounding_puts_on_each_other_or_in_line_are_one() -> None:
    ring = np.array([[0.0, 0], [0, 5], [0.01, 5.01], [2, 5.04], [5, 5], [5, 0], [0, 0]])
    (drawn,) = coastlines.simplified([ring])
    assert drawn.tolist() == [[0, 0], [0, 5], [5, 5], [5, 0]]


def test_run_makes_the_committed_files(tmp_path: Path, require: Require) -> None:
    require(shutil.which("npm"), "npm is not installed")
    assert coastlines.main(["--project", str(tmp_path)]) == 0
    for name in (PAGE_FILE, PLOTS_FILE):
        assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


@pytest.fixture
def made(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made package that is taken for the published one."""
    content = json.dumps(TOPOLOGY).encode()
    for name in SHA256:
        monkeypatch.setitem(SHA256, name, hashlib.sha256(content).hexdigest())
    return pack(**{"land-50m": content, "land-110m": content})


def test_package_of_ones_own_is_taken(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert coastlines.main(["--package", str(made), "--project", str(tmp_path)]) == 0
    assert (tmp_path / PAGE_FILE).read_text() == (
        "[\n[200,-50,0,100,-100,0,0,-100],\n[120,-30,0,20,40,0],\n[200,-50,100,0,0,100,-100,0]\n]\n"
    )
    largest_first = [DECODED[0], DECODED[2], DECODED[1]]
    assert json.loads((tmp_path / PLOTS_FILE).read_text()) == largest_first


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one sentence that is said where nothing can be made."""
    assert coastlines.main([str(each) for each in arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    return output.err


def test_other_file_than_the_published_one_is_refused(
    pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.dumps(TOPOLOGY).encode()
    package = pack(**{"land-50m": content, "land-110m": content})
    sentence = refused(capsys, "--package", package, "--project", tmp_path)
    assert f"land-50m.json in {package} is not the published one" in sentence
    assert hashlib.sha256(content).hexdigest()[:12] in sentence
    assert not (tmp_path / "service").exists()


def test_each_file_is_checked(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SHA256["land-110m.json"] = 64 * "0"
    assert "land-110m.json in" in refused(capsys, "--package", made, "--project", tmp_path)
    assert not (tmp_path / "service").exists()


@pytest.mark.parametrize("damage", ["absent", "empty", "no archive", "cut off", "changed", "lacking"])
def test_package_that_cannot_be_read_is_refused(
    damage: str, pack: Pack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = pack(**{"other" if damage == "lacking" else "land-50m": np.random.default_rng(0).bytes(2**20)})
    content = package.read_bytes()
    if damage == "absent":
        package.unlink()
    else:
        damaged = {
            "empty": b"",
            "no archive": b"{}",
            "cut off": content[:-1000],
            "changed": content[: 2**19] + 300 * b"\xff" + content[2**19 :],
            "lacking": content,
        }
        package.write_bytes(damaged[damage])
    sentence = refused(capsys, "--package", package, "--project", tmp_path)
    assert f"{package} has no land-50m.json that can be read" in sentence


def test_want_of_npm_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "npm is not installed" in refused(capsys, "--project", tmp_path)


def test_failure_of_npm_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], require: Require
) -> None:
    require(shutil.which("npm"), "npm is not installed")
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path))
    assert "cannot get world-atlas@2.0.2 (npm error code ECONNREFUSED)" in refused(capsys, "--project", tmp_path)


def test_folder_that_cannot_be_written_is_told(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "service").touch()
    assert f"{tmp_path / PAGE_FILE} cannot be written" in refused(capsys, "--package", made, "--project", tmp_path)
