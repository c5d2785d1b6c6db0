import json
import re
from typing import Any

import pytest
from huggingface_hub import ModelCard

from models.bundle import DEFAULT_BUNDLE, ModelBundle
from training import report

CARD = DEFAULT_BUNDLE.with_name("MODEL_CARD.md")


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed metrics.json."""
    text = DEFAULT_BUNDLE.with_name("metrics.json").read_text()
    return dict(json.loads(text, parse_constant=pytest.fail))


def test_committed_card_is_written_from_the_committed_figures(figures: dict[str, Any]) -> None:
    assert CARD.read_text() == report.model_card(figures)


def test_committed_figures_are_of_the_committed_bundle(figures: dict[str, Any], bundle: ModelBundle) -> None:
    assert figures["model_version"] == bundle.version
    assert figures["seed"] == bundle.manifest.seed
    assert figures["data"]["sha256"] == bundle.manifest.data_sha256
    for name, summary in bundle.manifest.networks.items():
        assert figures["networks"][name]["parameters"] == bundle.networks[name].parameter_count
        assert figures["networks"][name]["validation_accuracy"] == pytest.approx(summary.validation_accuracy, abs=1e-6)


def test_every_figure_of_the_card_is_in_its_place(figures: dict[str, Any]) -> None:
    card = CARD.read_text()
    for protocol, models in figures["north"].items():
        section = card.partition(f"### {protocol.capitalize()}\n")[2].partition("\n#")[0]
        for model, values in models.items():
            (row,) = re.findall(rf"^\| `?{re.escape(model)}`? \| (.*) \|$", section, re.MULTILINE)
            for shown, value in zip(row.split(" | "), values.values(), strict=True):
                numbers = [value[name] for name in ("mean", "spread", "low", "high")]
                assert shown == "{:.3f} ± {:.3f} ({:.3f} to {:.3f})".format(*numbers)


def test_front_matter_is_what_hugging_face_reads(figures: dict[str, Any]) -> None:
    card = ModelCard.load(CARD)
    assert card.data.license == "mit"
    assert card.data.language == "en"
    assert card.data.library_name == "keras"
    assert card.data.model_name == "music-origin"
    assert card.data.datasets == ["geographical-original-of-music"]
    results = card.data.eval_results
    assert results is not None
    found = {(each.dataset_split, each.task_name, each.metric_type): each for each in results}
    types = {"area_under_roc": "roc_auc"}
    for protocol, models in figures["north"].items():
        for network in ("simple", "hidden", "places"):
            for metric, value in models[network].items():
                result = found.pop((protocol, f"north of 20° N, {network} network", types.get(metric, metric)))
                assert result.metric_value == value["mean"]
                assert result.metric_args == {"spread": value["spread"], "interval_95": [value["low"], value["high"]]}
    assert len(found) == 5
    assert {split for split, _, _ in found} == {"ten folds"}


def test_card_says_in_words_what_the_networks_do_not_know(figures: dict[str, Any]) -> None:
    card = " ".join(CARD.read_text().split())
    held_out = figures["north"]["held-out places"]
    assert "They do not know where on Earth unheard music comes from" in card
    for name in ("places", "hidden", "simple", "majority"):
        assert f"{held_out[name]['accuracy']['mean']:.3f}" in card


def test_card_shows_every_plot() -> None:
    shown = re.findall(r"!\[[^\]]+\]\((plots/\w+\.png)\)", CARD.read_text())
    assert sorted(shown) == sorted(f"plots/{path.name}" for path in CARD.with_name("plots").glob("*.png"))


def test_claims_are_judged_by_their_figures(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    assert changed["notebook"]["hidden_maximum"]["least"] < 0.795 < changed["notebook"]["hidden_maximum"]["greatest"]
    changed["notebook"]["hidden_maximum"]["greatest"] = 0.79
    changed["notebook"]["least_drop_ratio"] = 0.1
    changed["notebook"]["early_excess"]["mean"] = 0.05
    changed["data"]["rows_north_of_20"] = 680
    changed["notebook"]["hidden_loss_at_100"]["mean"] = 0.1
    before, after = (
        re.findall(r"^\| (.*) \| .* \| (.*) \|$", report._notebook(each), re.MULTILINE)[2:]
        for each in (figures, changed)
    )
    verdicts = dict(after)
    assert all("does not stand" not in verdict for _, verdict in before)
    assert sum("does not stand" in verdict for verdict in verdicts.values()) == 5


def test_what_is_not_defined_is_null_and_said(figures: dict[str, Any]) -> None:
    undefined = report._plain({"mean": float("nan"), "low": float("inf"), "places": (1, 0.1234567891)})
    assert undefined == {"mean": None, "low": None, "places": [1, 0.123457]}
    changed = json.loads(json.dumps(figures))
    changed["north"]["held-out places"]["majority"]["area_under_roc"] = dict.fromkeys(("mean", "spread", "low", "high"))
    assert "not defined" in report.model_card(changed)


def test_own_data_is_not_called_the_published_data(figures: dict[str, Any]) -> None:
    changed = json.loads(json.dumps(figures))
    changed["data"]["sha256"] = "0" * 64
    assert "UCI Machine Learning Repository" not in report._data(changed)
    assert "UCI Machine Learning Repository" in report._data(figures)
