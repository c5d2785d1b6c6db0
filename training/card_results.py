"""The model card's results: how well the models do, how far `places` is ahead, and what calibration is worth."""

from collections.abc import Mapping, Sequence

from training.markdown import estimate, number, plot, signed, table
from training.report import Metrics

METRIC_NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss (nats)",
    "calibration_error": "calibration error",
    "area_under_roc": "area under ROC",
}


def evaluation(metrics: Metrics) -> str:
    """How every model was measured, and what it reached, for each way of splitting."""
    data, splits = metrics["data"], metrics["splits"]
    text = f"""
## How it was evaluated, and the results

Every model was fitted anew on every split and measured on the rows left out, in telling the side of 20° N. *Random
splits*: {splits["random splits"]} shuffles into {data["training_rows"]} and {data["validation_rows"]}. *Ten folds*:
every row is left out once. *Held-out places*: {splits["held-out places"]} folds, no place on both sides. Each
figure is the mean over the splits ± its standard deviation over them, and in brackets a 95 % interval for the mean,
widened for what the splits share (the corrected resampled t test of Nadeau and Bengio). The calibration error has
ten bins; on so few rows chance alone keeps it well above zero. *Majority* always gives the share of north in
training; the SVM's probabilities are by Platt's scaling.
"""
    for protocol, models in metrics["north"].items():
        rows = [(_model(metrics, model), *map(estimate, figures.values())) for model, figures in models.items()]
        text += f"\n### {protocol.capitalize()}\n\n{table(('model', *METRIC_NAMES.values()), rows)}\n"
    return text + "\n" + plot("accuracy_by_place", "Two maps of accuracy by place, with and without it in training")


def differences(metrics: Metrics) -> str:
    """What `places` has more than every other model, split by split."""
    protocols = metrics["places_ahead"]
    models = next(iter(protocols.values()))
    rows = [
        (
            _model(metrics, model),
            *(
                signed(protocols[protocol][model][metric])
                for protocol in protocols
                for metric in ("accuracy", "log_loss")
            ),
        )
        for model in models
    ]
    head = [f"{protocol}: {metric}" for protocol in protocols for metric in ("accuracy", "log loss")]
    return f"""
### How far `places` is ahead

The same, split by split: what `places` has more in accuracy, and less in log loss, than each other model, with a 95 %
interval for the mean. Where an interval holds zero, chance can explain the difference.

{table(("than", *head), rows)}
"""


def places(metrics: Metrics) -> str:
    """How often the place is right, and how far the point on Earth is from the true place."""
    place, origin = metrics["place"], metrics["origin"]
    rows = [
        (_model(metrics, name), estimate(figures["mean_error_km"], 0), estimate(figures["median_error_km"], 0))
        for name, figures in origin.items()
    ]
    return f"""
## Place and origin

Over ten folds, the place that `places` finds likeliest is the true one for {estimate(place["top_1"])} of the
pieces, and the true one is among its first three for {estimate(place["top_3"])}. The probability of the likeliest
place has a calibration error of {estimate(place["calibration_error"])}. As origin stands the point on Earth of
least expected great-circle distance. Its distance from the true place in km, as the mean and the median of a fold:

{table(("model", "mean error", "median error"), rows)}

The error that `places` itself expects, and the service replies as `expected_error_km`, is
{estimate(origin["places"]["expected_error_km"], 0)} km in the mean.

{plot("confusion", "Which place is taken for which, over ten folds")}
"""


def calibration(metrics: Metrics) -> str:
    """The calibration error of each network, all splits put together."""
    rows = [(_model(metrics, name), number(error)) for name, error in metrics["pooled_calibration_error"].items()]
    return f"""
## Calibration

The calibration error in telling the side of 20° N with the validation rows of all random splits put together, which
leaves less to chance than the mean over splits above:

{table(("model", "calibration error"), rows)}

{plot("reliability", "Reliability diagrams of the three networks")}
"""


def temperatures(metrics: Metrics) -> str:
    """What the networks' temperatures are, and what calibrating by them is worth."""
    effects = metrics["calibration"]
    rows: dict[str, list[str]] = {
        "temperature of this bundle": [number(metrics["networks"][name]["temperature"], 2) for name in effects],
        "mean temperature of a split": [estimate(effect["temperature"], 2) for effect in effects.values()],
    }
    for metric in ("log_loss", "calibration_error"):
        label = METRIC_NAMES[metric]
        rows[f"{label}, raw"] = [estimate(effect["raw"][metric]) for effect in effects.values()]
        rows[f"{label}, calibrated"] = [estimate(effect["calibrated"][metric]) for effect in effects.values()]
        rows[f"{label}, less by"] = [signed(effect["gain"][metric]) for effect in effects.values()]
    for which in ("raw", "calibrated"):
        rows[f"calibration error, all splits together, {which}"] = [
            number(effect[f"pooled_{which}"]) for effect in effects.values()
        ]
    return f"""
### By temperature

All other figures of this card are of the networks' raw probabilities. The service divides the log odds of north by a
temperature: above 1 it draws the probability towards one half, below 1 away from it, and the side stays the same. The
temperatures of this bundle are those of least log loss on its {metrics["data"]["validation_rows"]} validation rows,
which trained no network of it; `?calibrated=false` gives the raw figure. What that is worth was measured on the random
splits: each half of a split's validation rows was calibrated by the temperature of the other half, so that no row has
a part in its own.

{table(("", *(f"`{name}`" for name in effects)), [(label, *row) for label, row in rows.items()])}

{_verdict_on_calibration(effects)} These halves have half the rows that this bundle's temperatures were fitted on, and
the rows come from places that training knew: on unheard places nothing was calibrated.
"""


def _verdict_on_calibration(effects: Mapping[str, Metrics]) -> str:
    """Whose log loss falls or rises by it, and whether by more than chance; whose calibration error rises."""
    verdicts: dict[str, list[str]] = {}
    for name, effect in effects.items():
        verdicts.setdefault(_verdict_on_gain(effect["gain"]["log_loss"]), []).append(f"`{name}`")
    sentences = [f"The log loss of {_enumeration(names)} {verdict}." for verdict, names in verdicts.items()]
    rises = [f"`{name}`" for name, effect in effects.items() if effect["pooled_calibrated"] > effect["pooled_raw"]]
    if rises:
        sentences.append(f"The calibration error of {_enumeration(rises)}, all splits together, rises by it.")
    return " ".join(sentences)


def _verdict_on_gain(gain: Metrics) -> str:
    direction = "falls" if gain["mean"] > 0 else "rises"
    beyond_chance = gain["low"] is not None and not gain["low"] <= 0 <= gain["high"]
    return f"{direction} by it, by {'more' if beyond_chance else 'no more'} than chance can explain"


def _enumeration(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _model(metrics: Metrics, name: str) -> str:
    return f"`{name}`" if name in metrics["networks"] else name
