"""The environment of each stack."""

from pathlib import Path

from benchmarks import environments
from benchmarks.environments import FOLDER, ROOT, InstallError
from benchmarks.serving.stacks import Stack

PEERS = Path(__file__).parent / "peers"


def install(stack: Stack) -> None:
    """Installs the stack's environment unless it is there already as pinned. Raises InstallError."""
    if stack.environment is None:
        if not Path(stack.program).exists():
            raise InstallError(f"there is no {stack.program}")
        return
    prepare = [part.format(root=ROOT) for part in stack.prepare]
    environments.install(FOLDER / stack.environment, requirements(stack.environment), prepare)


def requirements(environment: str) -> Path:
    """The pinned requirements of an environment: this service's own, or those beside the peer."""
    return ROOT / "requirements" / "serve.txt" if environment == "music-origin" else PEERS / f"{environment}.txt"


def program(stack: Stack) -> str:
    """The path of what is started."""
    return stack.program if stack.environment is None else str(FOLDER / stack.environment / "bin" / stack.program)


def version(stack: Stack, package: str) -> str:
    """The version of a package in the stack's environment, as pinned."""
    assert stack.environment is not None
    return environments.version(requirements(stack.environment), package)


def megabytes(stack: Stack) -> float | None:
    """The installed size, in units of 10⁶ bytes, without what Python compiles on the way."""
    if stack.environment is None:
        return None
    files = (path for path in (FOLDER / stack.environment).rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files if path.suffix != ".pyc") / 1e6
