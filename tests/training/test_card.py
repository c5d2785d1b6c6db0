import json
import re
from typing import Any

from huggingface_hub import ModelCard

from models.archive import DEFAULT_BUNDLE
from training import card

CARD = DEFAULT_BUNDLE.with_name("MODEL_CARD.md")


def test_committed_card_is_written_from_the_committed_figures(figures: dict[str, Any]) -> None:
    assert CARD.read_text() == card.model_card(figures)


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
