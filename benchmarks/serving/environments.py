"""The environment of each stack: installed on demand from its pinned requirements, in a folder that git ignores.

`python -m benchmarks.serving.environments` pins them anew.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.serving.stacks import STACKS, Stack

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
FOLDER = ROOT / ".bench"
UV = Path(sys.executable).with_name("uv")
COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--fork-strategy", "fewest"),
    *("--generate-hashes", "--no-annotate", "--no-header", "--upgrade"),
)


class InstallError(Exception):
    """An environment that could not be installed. The message is the installer's last line."""


def install(stack: Stack) -> None:
    """Installs the stack's environment unless it is there already as pinned."""
    if stack.environment is None:
        if not Path(stack.program).exists():
            raise InstallError(f"there is no {stack.program}")
        return
    folder = FOLDER / stack.environment
    mark, pinned = folder / "installed.txt", requirements(stack.environment)
    if mark.exists() and mark.read_text() == pinned.read_text():
        return
    python = folder / "bin" / "python"
    _run(str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    options = ("--quiet", "--only-binary", ":all:", "--require-hashes")
    _run(str(UV), "pip", "install", *options, "--python", str(python), "--requirement", str(pinned))
    if stack.prepare:
        _run(str(python), *(part.format(root=ROOT) for part in stack.prepare))
    mark.write_text(pinned.read_text())


def requirements(environment: str) -> Path:
    """The pinned requirements of an environment: this service's own, or those beside the peer."""
    return ROOT / "requirements" / "serve.txt" if environment == "music-origin" else PEERS / f"{environment}.txt"


def program(stack: Stack) -> str:
    """The path of what is started."""
    return stack.program if stack.environment is None else str(FOLDER / stack.environment / "bin" / stack.program)


def version(stack: Stack, package: str) -> str:
    """The version of a package in the stack's environment, as pinned."""
    assert stack.environment is not None
    lines = requirements(stack.environment).read_text().splitlines()
    return next(line.split()[0].partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def megabytes(stack: Stack) -> float | None:
    """The installed size, in units of 10⁶ bytes, without what Python compiles on the way."""
    if stack.environment is None:
        return None
    files = (path for path in (FOLDER / stack.environment).rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc") / 1e6


def _run(*command: str) -> None:
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        lines = (run.stderr or run.stdout).strip().splitlines() or [f"status {run.returncode}"]
        raise InstallError(lines[-1])


if __name__ == "__main__":
    for environment in sorted({stack.environment for stack in STACKS if stack.environment} - {"music-origin"}):
        _run(str(UV), *COMPILE, str(PEERS / f"{environment}.in"), "--output-file", str(PEERS / f"{environment}.txt"))
