"""What the image holds beyond its base, and what a container of it may do: as little as can be."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from tests.conftest import ROOT
from tests.containers import BASE_IMAGE, IMAGE, run
from tests.trust.conftest import Record

OUR_FOLDERS = ("/app/", "/venv/")
OUR_PROGRAMS = {"python", "python3", "python3.13"}
NO_RIGHTS = {f"Cap{kind}": "0" * 16 for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")}
VERSIONS = "import importlib.metadata as m, json; print(json.dumps([[d.name, d.version] for d in m.distributions()]))"


@dataclass(frozen=True)
class Contents:
    """The files of an image, by their mode and size, and where it looks for programs."""

    files: dict[str, tuple[int, int]]
    path: list[str]

    @classmethod
    def of(cls, engine: str, image: str) -> "Contents":
        find = r"echo $PATH; find / -xdev '(' -type f -o -type l ')' -printf '%m %s %p\n'"
        path, *lines = run(engine, "run", "--rm", "--user=0", image, "sh", "-c", find).splitlines()
        files = {}
        for line in lines:
            mode, size, name = line.split(maxsplit=2)
            files[name] = int(mode, 8), int(size)
        return cls(files, path.split(":"))

    @property
    def programs(self) -> set[str]:
        """What can be called by its name alone."""
        return {
            file
            for file, (mode, _) in self.files.items()
            if mode & 0o111 and str(PurePosixPath(file).parent) in {os.path.normpath(each) for each in self.path}
        }

    @property
    def with_another_users_rights(self) -> set[str]:
        """Those that run as their owner or group."""
        return {file for file, (mode, _) in self.files.items() if mode & 0o6000}


@pytest.fixture(scope="module")
def base(engine: str) -> Contents:
    assert engine
    return Contents.of(engine, BASE_IMAGE)


@pytest.fixture(scope="module")
def contents(engine: str) -> Contents:
    return Contents.of(engine, IMAGE)


def pins() -> dict[str, str]:
    """The versions in serve.txt, all of which Linux is to have."""
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / "requirements" / "serve.txt").read_text(), re.M))


def state(status: str) -> dict[str, list[str]]:
    """What /proc says of a process."""
    return {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}


def test_container_runs_without_rights(engine: str, container: str, address: str, record: Record) -> None:
    assert address
    first = state(run(engine, "exec", container, "cat", "/proc/1/status"))
    unrestricted = state(run(engine, "run", "--rm", IMAGE, "cat", "/proc/self/status"))
    met = all(each["Uid"] == each["Gid"] == ["10001"] * 4 for each in (first, unrestricted))
    met &= all(first[name] == [none] for name, none in NO_RIGHTS.items()) and first["NoNewPrivs"] == ["1"]
    met &= unrestricted["CapEff"] == unrestricted["CapPrm"] == ["0" * 16]
    found = f"user {first['Uid'][0]}, capabilities {first['CapBnd'][0]}, no new privileges {first['NoNewPrivs'][0]}"
    record("the rights of a container that answers", found, "user 10001, without capabilities, able to gain none", met)


def test_nothing_can_be_written(engine: str, container: str, address: str, record: Record) -> None:
    """By a container on a read-only root nowhere; by one without even that, nothing that is run or served."""
    assert address
    places = ("/", "/app", "/app/models/artifacts", "/app/service", "/venv", "/venv/bin", "/etc", "/usr/bin", "/var")
    attempt = f"for place in {' '.join(places)}; do touch $place/new 2>/dev/null && echo $place; done; true"
    written = run(engine, "exec", container, "sh", "-c", attempt).split()
    written += run(engine, "exec", "--user=0", container, "sh", "-c", attempt).split()
    writable = run(engine, "run", "--rm", IMAGE, "find", "/app", "/venv", "-writable", "-not", "-type", "l").split()
    record(
        f"writing to {len(places)} folders, as the service and as root, and all files of the service",
        f"{len(written)} written, {len(writable)} writable: {[*written, *writable]}",
        "none is written, none writable",
        not written and not writable,
    )


def test_image_adds_no_program_but_python(contents: Contents, base: Contents, record: Record) -> None:
    added = {file for file in contents.files.keys() - base.files.keys() if not file.startswith(OUR_FOLDERS)}
    programs = contents.programs - base.programs
    gained = contents.with_another_users_rights - base.with_another_users_rights
    changed = {file for file in base.files.keys() & contents.files.keys() if base.files[file] != contents.files[file]}
    changed -= {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/run/.containerenv"}  # the engine's own
    record(
        "programs, set-user-id files, and files outside /app and /venv, beyond the base image's",
        f"{len(programs)} programs, {len(gained)} set-user-id, {sorted(added | changed) or 'no other file'}",
        f"{', '.join(sorted(OUR_PROGRAMS))}; no other",
        programs == {f"/venv/bin/{name}" for name in OUR_PROGRAMS} and not gained and not added | changed,
    )


def test_installed_versions_are_the_pinned_ones(engine: str, record: Record) -> None:
    installed = dict(json.loads(run(engine, "run", "--rm", IMAGE, "python", "-c", VERSIONS)))
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in installed.items()}
    different = sorted({name for name, _ in found.items() ^ pins().items()})
    record(
        "packages in the image against requirements/serve.txt",
        f"{len(found)} packages, {len(different)} not as pinned: {different}",
        "the same, in the same versions",
        not different and len(found) > 20,
    )


def test_image_adds_less_than_110_mb_to_its_base(contents: Contents, engine: str, record: Record) -> None:
    sizes = [int(run(engine, "image", "inspect", "--format={{.Size}}", each)) for each in (IMAGE, BASE_IMAGE)]
    counts = {folder: sum(file.startswith(folder) for file in contents.files) for folder in OUR_FOLDERS}
    found = ", ".join(f"{count} files in {folder}" for folder, count in counts.items())
    added = (sizes[0] - sizes[1]) / 1e6
    record("the image's files and size", f"{found}, {added:.0f} MB over its base", "below 110 MB", 0 < added < 110)
