"""The coastlines of the maps, from Natural Earth's land: `python -m training.coastlines`.

It writes two files, each a JSON array with a ring of points a line, from the npm package world-atlas:

- service/page/land.json, for the web page's map: the land at 1:50 million without Antarctica, simplified. A ring is a
  flat array of whole numbers, in tenths of a degree: the longitude and the latitude of its first point, and then the
  differences of each point from the one before. The last point is joined to the first. Rings end at 180° W and 180° E.
- training/coastlines.json, for the plots: the land at 1:110 million, whole. A ring is an array of [longitude, latitude]
  in degrees, of which the last is the first again. Rings go on across 180°.
"""

import argparse
import hashlib
import heapq
import json
import math
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.archive import replaced_whole

PACKAGE = "world-atlas@2.0.2"
SHA256 = {
    "land-50m.json": "619477ff690c086885e45cb91707d783805561bd75ae8e437b7d4694b0204e0f",
    "land-110m.json": "ead5f68119c49a9250902e7da303bcb209341bbb8fefe7369a439b48b704658a",
}
PROJECT = Path(__file__).parent.parent
PAGE_FILE = "service/page/land.json"
PLOTS_FILE = "training/coastlines.json"

SOUTHERNMOST = -60  # degrees: what lies wholly south of it is Antarctica
TENTHS = 10  # in a degree
SMALLEST = 0.013  # square degrees of the equator: a fifth of a pixel, where 1,400 of them go round it


class CoastlineError(Exception):
    """A package that cannot be had or used, or a file that cannot be written. The message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes both files from the command line and returns the exit status."""
    options = parse_arguments(arguments)
    try:
        run(options.package, options.project)
    except CoastlineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's options, with their defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m training.coastlines",
        description=f"Makes {PAGE_FILE} and {PLOTS_FILE} from Natural Earth's land, which the npm package {PACKAGE} "
        "carries.",
    )
    parser.add_argument("--package", type=Path, help="the package's .tgz (default: npm gets it)")
    parser.add_argument(
        "--project", type=Path, default=PROJECT, help="folder to write the two files under (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def run(package: Path | None, project: Path) -> None:
    """Reads the package, else gets it by npm, and writes both files."""
    with tempfile.TemporaryDirectory() as folder:
        package = package or fetch(Path(folder))
        page, plots = (decode(json.loads(read(package, name))) for name in SHA256)
    write(project / PAGE_FILE, (differences(ring) for ring in simplified(page)))
    # Those of most points first: that is the order in which the committed plots draw them.
    write(project / PLOTS_FILE, (ring.round(2).tolist() for ring in sorted(plots, key=len, reverse=True)))


def fetch(folder: Path) -> Path:
    """Lets npm put the package into the folder, from whichever registry it knows. Raises CoastlineError."""
    npm = shutil.which("npm")
    if npm is None:
        raise CoastlineError(f"npm is not installed: install it, or name the .tgz of {PACKAGE} with --package")
    command = [npm, "pack", PACKAGE, "--loglevel=error"]
    packed = subprocess.run(command, cwd=folder, capture_output=True, text=True)  # noqa: S603
    if packed.returncode != 0:
        reason = packed.stderr.partition("\n")[0]
        raise CoastlineError(f"npm cannot get {PACKAGE} ({reason}): check the network, or name its .tgz with --package")
    return next(folder.glob("*.tgz"))


def read(package: Path, name: str) -> bytes:
    """The content of one of the package's files, which must be the published one. Raises CoastlineError."""
    try:
        with tarfile.open(package) as archive:
            member = archive.extractfile(f"package/{name}")
            content = member.read() if member else b""
    except (OSError, EOFError, zlib.error, tarfile.TarError, KeyError) as error:
        raise CoastlineError(f"{package} has no {name} that can be read: name the .tgz of {PACKAGE}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256[name]:
        raise CoastlineError(
            f"{name} in {package} is not the published one (its SHA-256 is {digest[:12]}…, not {SHA256[name][:12]}…): "
            f"name the .tgz of {PACKAGE}"
        )
    return content


def decode(topology: dict[str, Any]) -> list[NDArray[np.float64]]:
    """The rings (n, 2) of a TopoJSON file's land, in degrees east and north; the last point is the first again.

    An arc is a list of whole-numbered differences; a ring is a list of arcs that share their ends, ~i for i reversed.
    """
    scale, translate = (np.array(topology["transform"][name]) for name in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + translate for arc in topology["arcs"]]
    (land,) = topology["objects"]["land"]["geometries"]
    rings = [
        [arcs[index] if index >= 0 else arcs[~index][::-1] for index in ring] for area in land["arcs"] for ring in area
    ]
    return [np.concatenate([first, *(arc[1:] for arc in others)]) for first, *others in rings]


def simplified(rings: Iterable[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The rings (m, 2) that the page draws, of the closed ones (n, 2); both in degrees."""
    parts = [part for ring in rings if ring[:, 1].max() > SOUTHERNMOST for part in cut_at_antimeridian(ring[:-1])]
    # Rounding leaves new bends that are small, such as none at all.
    drawn = [without_small_bends(rounded(without_small_bends(part))) for part in parts]
    return [ring for ring in drawn if enclosed_area(ring) >= SMALLEST]


def cut_at_antimeridian(ring: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """What of a ring (n, 2) lies from 180° W to 180° E, in a part for each side of the antimeridian, west first."""
    unbroken = np.column_stack([np.unwrap(ring[:, 0], period=360), ring[:, 1]])
    parts = [clip(clip(unbroken + np.array([turn, 0]), -180, 1), 180, -1) for turn in (-360, 0, 360)]
    return [part for part in parts if len(part)]


def clip(ring: NDArray[np.float64], meridian: float, side: int) -> NDArray[np.float64]:
    """What of a ring (n, 2) lies east of a meridian (side 1) or west of it (side -1), by Sutherland and Hodgman."""
    inside = side * (ring[:, 0] - meridian) >= 0
    clipped = []
    for index, point in enumerate(ring):
        before = ring[index - 1]
        if inside[index] != inside[index - 1]:
            share = (meridian - before[0]) / (point[0] - before[0])
            clipped.append([meridian, before[1] + share * (point[1] - before[1])])
        if inside[index]:
            clipped.append(point)
    return np.array(clipped).reshape(-1, 2)


def rounded(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring (n, 2) to tenths of a degree, without points that fall on the one before."""
    points = np.rint(TENTHS * ring) / TENTHS
    return points[np.any(points != np.roll(points, 1, axis=0), axis=1)]


def enclosed_area(ring: NDArray[np.float64]) -> float:
    """What a ring (n, 2) encloses, in square degrees of the equator."""
    x, y = equal_area(ring).T
    return abs(float(np.sum(x * (np.roll(y, -1) - np.roll(y, 1))))) / 2


def equal_area(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitudes and latitudes (n, 2) as points of Lambert's cylinder, on which areas are those on the sphere."""
    longitude, latitude = points.T
    # Rounded, so that no machine's last digit of a sine decides which of two bends is the smaller.
    return np.column_stack([longitude, np.degrees(np.sin(np.radians(latitude)))]).round(6)


def without_small_bends(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring (n, 2) without the points whose triangle with their neighbours is small.

    The point of the smallest triangle goes first, and its neighbours get new ones (Visvalingam and Whyatt, 1993).
    Points on the antimeridian stay, so that what was cut there still meets, and so do four points of every ring.
    """
    points = equal_area(ring).tolist()
    before, after = (np.roll(np.arange(len(ring)), shift).tolist() for shift in (1, -1))

    def triangle(point: int) -> float:
        (x, y), (x0, y0), (x1, y1) = (points[each] for each in (point, before[point], after[point]))
        return math.inf if abs(x) == 180 else abs((x0 - x) * (y1 - y) - (x1 - x) * (y0 - y)) / 2

    bends = [(triangle(point), point) for point in range(len(ring))]
    heapq.heapify(bends)
    kept = set(range(len(ring)))
    while len(kept) > 4 and bends[0][0] < SMALLEST:
        size, point = heapq.heappop(bends)
        if point not in kept or size != triangle(point):
            continue
        kept.remove(point)
        after[before[point]], before[after[point]] = after[point], before[point]
        for neighbour in (before[point], after[point]):
            heapq.heappush(bends, (triangle(neighbour), neighbour))
    return ring[sorted(kept)]


def differences(ring: NDArray[np.float64]) -> list[int]:
    """The first point of a ring (n, 2), and each other one's difference from the one before: 2 n tenths of a degree."""
    tenths = np.rint(TENTHS * ring).astype(np.int64)
    numbers: list[int] = np.diff(tenths, axis=0, prepend=0).ravel().tolist()
    return numbers


def write(path: Path, rings: Iterable[list[Any]]) -> None:
    """Writes a JSON array with one ring a line. Raises CoastlineError."""
    lines = ",\n".join(json.dumps(ring, separators=(",", ":")) for ring in rings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_whole(path) as temporary:
            temporary.write_text(f"[\n{lines}\n]\n", encoding="ascii", newline="\n")
    except OSError as error:
        raise CoastlineError(f"{path} cannot be written ({error.strerror}): choose another --project") from error


if __name__ == "__main__":
    sys.exit(main())
