"""The bill of materials that `make sbom` writes: complete, true to the pins, and the same twice."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from models.archive import DEFAULT_BUNDLE
from models.bundle import ModelBundle
from tests.conftest import ROOT
from tests.trust.conftest import Record

PIN = re.compile(r"^([a-z0-9.-]+)==([^ ;]+)((?:.*\\\n)+.*)$", re.MULTILINE)


def written(path: Path) -> str:
    subprocess.run([sys.executable, "requirements/sbom.py", path], cwd=ROOT, env={"PYTHONPATH": "."}, check=True)
    return path.read_text()


def pins() -> dict[str, set[str]]:
    """The hashes of each pinned package, by its address."""
    return {
        f"pkg:pypi/{name}@{version}": set(re.findall(r"sha256:(\w{64})", hashes))
        for name, version, hashes in PIN.findall((ROOT / "requirements" / "serve.txt").read_text())
    }


def hashes(component: dict[str, Any]) -> set[str]:
    return {each["content"] for reference in component["externalReferences"] for each in reference.get("hashes", ())}


def test_bill_of_materials_is_that_of_the_pins(tmp_path: Path, bundle: ModelBundle, record: Record) -> None:
    text = written(tmp_path / "sbom.json")
    bill = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    *packages, model = bill["components"]
    assert (model["name"], model["version"]) == ("bundle.npz", bundle.version)
    assert model["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(DEFAULT_BUNDLE.read_bytes()).hexdigest()}]
    assert (bill["metadata"]["component"]["name"], bill["specVersion"]) == ("music-origin", "1.6")
    unlicensed = {each["name"] for each in packages if not each.get("licenses")}
    assert unlicensed <= {"pysimdjson"}  # it declares none
    references = {each["bom-ref"] for each in [bill["metadata"]["component"], *bill["components"]]}
    for each in bill["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= references
    record(
        "the SBOM (CycloneDX 1.6) against requirements/serve.txt, and written again",
        f"{len(packages)} packages, {sum(len(hashes(each)) for each in packages)} hashes",
        "the schema's form; names, versions and hashes as pinned; the same bytes",
        {each["purl"]: hashes(each) for each in packages} == pins() and written(tmp_path / "again.json") == text,
    )
