import json
import re
from typing import Any

from training import card_notebook


def test_claims_are_judged_by_their_figures(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    assert changed["notebook"]["hidden_maximum"]["least"] < 0.795 < changed["notebook"]["hidden_maximum"]["greatest"]
    changed["notebook"]["hidden_maximum"]["greatest"] = 0.79
    changed["notebook"]["drop_ratios"][3] = 0.1
    changed["notebook"]["early_excess"]["mean"] = 0.05
    changed["data"]["rows_north_of_20"] = 680
    changed["notebook"]["hidden_loss_at_100"]["mean"] = 0.1
    before, after = (
        re.findall(r"^\| (.*) \| .* \| (.*) \|$", card_notebook.notebook(each), re.MULTILINE)[2:]
        for each in (figures, changed)
    )
    verdicts = dict(after)
    assert all("does not stand" not in verdict for _, verdict in before)
    assert sum("does not stand" in verdict for verdict in verdicts.values()) == 5
