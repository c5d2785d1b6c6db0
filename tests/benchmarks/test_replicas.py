"""What REPLICAS.md says of its figures."""

import re

from benchmarks.replicas.report import verdict
from tests.conftest import ROOT

TEXT = (ROOT / "benchmarks" / "REPLICAS.md").read_text()


def test_verdict_is_that_of_the_figures() -> None:
    found = re.findall(r"^\| (\d replicas) over 1 \| ([\d.]+) .*? \| ([\d.]+) ", TEXT, re.MULTILINE)
    ratios = {f"{replicas}, one piece": float(piece) for replicas, piece, _ in found}
    ratios |= {f"{replicas}, 1,000 rows": float(rows) for replicas, _, rows in found}
    assert len(ratios) == 4
    assert verdict(ratios) in TEXT


def test_verdict_tells_a_loss() -> None:
    said = verdict({"two": 0.96, "four": 0.94})
    assert "Held: two (0.96). Not held: four (0.94)." in " ".join(said.split())
