import json
import re
from typing import Any

import pytest
from huggingface_hub import ModelCard

from models.archive import DEFAULT_BUNDLE
from training import card

CARD = DEFAULT_BUNDLE.with_name("MODEL_CARD.md")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed metrics.json."""
    text = DEFAULT_BUNDLE.with_name("metrics.json").read_text()
    return dict(json.loads(text, parse_constant=pytest.fail))


def test_committed_card_is_written_from_the_committed_figures(figures: dict[str, Any]) -> None:
    assert CARD.read_text() == card.model_card(figures)


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
    assert card._verdict_on_calibration(effects) == (
        "The log loss of `simple` falls by it, by more than chance can explain. "
        "The log loss of `hidden` rises by it, by more than chance can explain. "
        "The log loss of `places` falls by it, by no more than chance can explain. "
        "The calibration error of `simple`, all splits together, rises by it."
    )
    effects["hidden"] = effects["simple"]
    assert "The log loss of `simple` and `hidden` falls by it, by more" in card._verdict_on_calibration(effects)
    effects["places"]["gain"]["log_loss"] |= {"mean": -0.1, "low": None, "high": None}
    assert "of `places` rises by it, by no more than chance" in card._verdict_on_calibration(effects)


def test_front_matter_is_what_hugging_face_reads(figures: dict[str, Any]) -> None:
    loaded = ModelCard.load(CARD)
    assert loaded.data.license == "mit"
    assert loaded.data.language == "en"
    assert loaded.data.library_name == "keras"
    assert loaded.data.model_name == "music-origin"
    assert loaded.data.datasets == ["geographical-original-of-music"]
    results = loaded.data.eval_results
    assert results is not None
    found = {(each.dataset_split, each.task_name, each.metric_type): each for each in results}
    types = {"area_under_roc": "roc_auc"}
    for protocol, models in figures["north"].items():
        for network in ("simple", "hidden", "places"):
            for metric, value in models[network].items():
                result = found.pop((protocol, f"north of 20° N, {network} network", types.get(metric, metric)))
                assert result.metric_value == value["mean"]
                assert result.metric_args == {"spread": value["spread"], "interval_95": [value["low"], value["high"]]}
    assert len(found) == 6
    assert {split for split, _, _ in found} == {"ten folds"}


def test_card_says_in_words_what_the_networks_do_not_know(figures: dict[str, Any]) -> None:
    words = " ".join(CARD.read_text().split())
    held_out = figures["north"]["held-out places"]
    assert "They do not know where on Earth unheard music comes from" in words
    for name in ("places", "hidden", "simple", "majority"):
        assert f"{held_out[name]['accuracy']['mean']:.3f}" in words


def test_card_cites_the_source_and_holds_no_code() -> None:
    words = " ".join(CARD.read_text().split())
    assert 'Fang Zhou, Claire Q. and Ross D. King, "Predicting the Geographical Origin of Music", ICDM 2014' in words
    assert not re.search(r'f"|\{|\}|None|nan\b', words)


def test_card_shows_every_plot() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((plots/\w+\.png)\)", CARD.read_text())
    assert sorted(shown) == sorted(f"plots/{path.name}" for path in CARD.with_name("plots").glob("*.png"))


def test_claims_are_judged_by_their_figures(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    assert changed["notebook"]["hidden_maximum"]["least"] < 0.795 < changed["notebook"]["hidden_maximum"]["greatest"]
    changed["notebook"]["hidden_maximum"]["greatest"] = 0.79
    changed["notebook"]["drop_ratios"][3] = 0.1
    changed["notebook"]["early_excess"]["mean"] = 0.05
    changed["data"]["rows_north_of_20"] = 680
    changed["notebook"]["hidden_loss_at_100"]["mean"] = 0.1
    before, after = (
        re.findall(r"^\| (.*) \| .* \| (.*) \|$", card._notebook(each), re.MULTILINE)[2:] for each in (figures, changed)
    )
    verdicts = dict(after)
    assert all("does not stand" not in verdict for _, verdict in before)
    assert sum("does not stand" in verdict for verdict in verdicts.values()) == 5


def test_what_is_not_defined_is_said(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    changed["north"]["held-out places"]["majority"]["area_under_roc"] = dict.fromkeys(("mean", "spread", "low", "high"))
    assert "not defined" in card.model_card(changed)


def test_own_data_is_not_called_the_published_data(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    changed["data"]["sha256"] = "0" * 64
    for sentence in ("UCI Machine Learning Repository", "## The notebook's claims", "How the recipes came about"):
        assert sentence in card.model_card(figures)
        assert sentence not in card.model_card(changed)
