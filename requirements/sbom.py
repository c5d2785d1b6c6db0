"""Writes what the image installs as a software bill of materials (SBOM), in CycloneDX's JSON.

Which packages, in which versions and with which hashes, stands in serve.txt. Their licences, and which needs which, are
as the same packages tell it where they are installed here. The model is a component beside them. What the base image
holds is not listed. Two runs give the same bytes.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from models.archive import DEFAULT_BUNDLE, load_bundle

FOLDER = Path(__file__).parent
ROOT = "root-component"  # the project, as cyclonedx-py refers to it

Json = dict[str, Any]


def main(output: Path) -> None:
    """Writes the SBOM to a file."""
    pinned = described("requirements", str(FOLDER / "serve.txt"))
    installed = described("environment", sys.executable)
    by_address = {each["purl"]: each for each in installed["components"]}
    packages = [package(by_address, each) for each in pinned["components"]]
    references = {each["bom-ref"] for each in packages}
    needs = {each["ref"]: sorted(references & set(each.get("dependsOn", []))) for each in installed["dependencies"]}
    bundle = model()
    needs[ROOT].append(bundle["bom-ref"])
    pinned["components"] = [*packages, bundle]
    pinned["dependencies"] = [{"ref": each, "dependsOn": needs[each]} for each in [ROOT, *sorted(references)]]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(pinned, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def described(kind: str, source: str) -> Json:
    """What cyclonedx-py says of the pins, or of what is installed."""
    tool = [sys.executable, "-W", "ignore::UserWarning", "-m", "cyclonedx_py"]
    # A test holds the whole to CycloneDX's schema; to hold each part to it takes seconds.
    options = ["--pyproject", str(FOLDER.parent / "pyproject.toml"), "--output-reproducible", "--no-validate"]
    finished = subprocess.run([*tool, kind, source, *options], stdout=subprocess.PIPE, check=True)  # noqa: S603
    bill: Json = json.loads(finished.stdout)
    return bill


def package(installed: dict[str, Json], pinned: Json) -> Json:
    """An installed package, with the hashes of its pin."""
    if pinned["purl"] not in installed:
        sys.exit(f"error: {pinned['purl']} is not installed here as it is pinned: run this by `make sbom`")
    found = installed[pinned["purl"]]
    return found | {"externalReferences": [*found.get("externalReferences", []), *pinned["externalReferences"]]}


def model() -> Json:
    """The bundle that the image serves, by its model version."""
    version = load_bundle(DEFAULT_BUNDLE).version
    return {
        "type": "machine-learning-model",
        "bom-ref": f"bundle=={version}",
        "name": DEFAULT_BUNDLE.name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(DEFAULT_BUNDLE.read_bytes()).hexdigest()}],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
