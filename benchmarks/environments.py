"""What others need to run beside this project: installed on demand, as pinned, in a folder that git ignores.

`python -m benchmarks.environments` pins all of it anew.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bench"
UV = Path(sys.executable).with_name("uv")
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--generate-hashes", "--no-annotate", "--no-header", "--upgrade"),
)


class InstallError(Exception):
    """An environment that could not be installed. The message is the installer's last line."""


def install(folder: Path, requirements: Path, prepare: Sequence[str] = ()) -> None:
    """Installs what is pinned, and runs Python with the arguments `prepare` there, unless both are done already."""
    mark = folder / "installed.txt"
    if mark.exists() and mark.read_text() == requirements.read_text():
        return
    python = folder / "bin" / "python"
    _run(str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    options = ("--quiet", "--only-binary", ":all:", "--require-hashes")
    _run(str(UV), "pip", "install", *options, "--python", str(python), "--requirement", str(requirements))
    if prepare:
        _run(str(python), *prepare)
    mark.write_text(requirements.read_text())


def version(requirements: Path, package: str) -> str:
    """The version that a package is pinned to."""
    lines = requirements.read_text().splitlines()
    return next(line.split()[0].partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def _run(*command: str) -> None:
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        lines = (run.stderr or run.stdout).strip().splitlines() or [f"status {run.returncode}"]
        raise InstallError(lines[-1])


if __name__ == "__main__":
    for asked in sorted((ROOT / "benchmarks").rglob("*.in")):
        _run(str(UV), *COMPILE, str(asked), "--output-file", str(asked.with_suffix(".txt")))
