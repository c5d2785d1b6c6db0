import json
import re
from typing import Any

from models.archive import DEFAULT_BUNDLE
from training import card_results

CARD = DEFAULT_BUNDLE.with_name("MODEL_CARD.md")


def test_every_figure_of_the_card_is_in_its_place(figures: dict[str, Any]) -> None:
    text = CARD.read_text()
    for protocol, models in figures["north"].items():
        section = text.partition(f"### {protocol.capitalize()}\n")[2].partition("\n#")[0]
        for model, values in models.items():
            (row,) = re.findall(rf"^\| `?{re.escape(model)}`? \| (.*) \|$", section, re.MULTILINE)
            for shown, value in zip(row.split(" | "), values.values(), strict=True):
                numbers = [value[name] for name in ("mean", "spread", "low", "high")]
                assert shown == "{:.3f} ± {:.3f} ({:.3f} to {:.3f})".format(*numbers)


def test_calibration_is_shown_as_measured(figures: dict[str, Any]) -> None:
    section = CARD.read_text().partition("### By temperature\n")[2].partition("\n#")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| (.*) \|$", section, re.MULTILINE)[1:])
    effects = figures["calibration"]
    shown = {name: dict(zip(effects, row.split(" | "), strict=True)) for name, row in rows.items()}
    for network, effect in effects.items():
        assert shown["temperature of this bundle"][network] == f"{figures['networks'][network]['temperature']:.2f}"
        for metric, label in (("log_loss", "log loss (nats)"), ("calibration_error", "calibration error")):
            for which in ("raw", "calibrated"):
                assert shown[f"{label}, {which}"][network].startswith(f"{effect[which][metric]['mean']:.3f} ± ")
            assert shown[f"{label}, less by"][network].startswith(f"{effect['gain'][metric]['mean']:+.3f} (")
        for which in ("raw", "calibrated"):
            pooled = shown[f"calibration error, all splits together, {which}"][network]
            assert pooled == f"{effect[f'pooled_{which}']:.3f}"
    assert len(shown) == 10


def test_what_calibration_is_worth_is_judged_by_its_figures(figures: dict[str, Any]) -> None:
    effects = json.loads(json.dumps(figures["calibration"]))
    intervals = {"simple": (0.01, 0.02), "hidden": (-0.02, -0.01), "places": (-0.01, 0.02)}
    for network, (low, high) in intervals.items():
        effects[network]["gain"]["log_loss"] |= {"mean": (low + high) / 2, "low": low, "high": high}
        effects[network] |= {"pooled_raw": 0.05, "pooled_calibrated": 0.06 if network == "simple" else 0.04}
    assert card_results._verdict_on_calibration(effects) == (
        "The log loss of `simple` falls by it, by more than chance can explain. "
        "The log loss of `hidden` rises by it, by more than chance can explain. "
        "The log loss of `places` falls by it, by no more than chance can explain. "
        "The calibration error of `simple`, all splits together, rises by it."
    )
    effects["hidden"] = effects["simple"]
    assert "The log loss of `simple` and `hidden` falls by it, by more" in card_results._verdict_on_calibration(effects)
    effects["places"]["gain"]["log_loss"] |= {"mean": -0.1, "low": None, "high": None}
    assert "of `places` rises by it, by no more than chance" in card_results._verdict_on_calibration(effects)
