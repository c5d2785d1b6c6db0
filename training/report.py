"""What a run shows and writes: the table at its end, metrics.json, and the model card."""

import dataclasses
import json
import math
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from models.bundle import ModelBundle
from training.dataset import SHA256
from training.recipes import RECIPES, Recipe

LIBRARIES = ("numpy", "keras", "tensorflow", "scikit-learn", "scipy", "matplotlib")
DECIMALS = 6
PERCENT_NEAR_LEAST = 2.0
ELBOW_RATIO = 0.5

Metrics = dict[str, Any]

METRIC_NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss (nats)",
    "calibration_error": "calibration error",
    "area_under_roc": "area under ROC",
}
HUGGING_FACE_TYPES = {"area_under_roc": "roc_auc", "top_1": "accuracy", "top_3": "top_3_accuracy"}


def print_summary(bundle: ModelBundle, output: Path, files: int, seconds: float) -> None:
    """Prints the run's figures as a table: data, cost, accuracies of the networks, seconds, files, model version."""
    manifest = bundle.manifest
    table = Table(title="music-origin training")
    table.add_column()
    table.add_column("result", overflow="fold")
    table.add_row(
        "rows", f"{manifest.rows:,}: {manifest.training_rows} to train, {manifest.validation_rows} to validate"
    )
    table.add_row("seed", str(manifest.seed))
    table.add_row("places", str(len(manifest.places)))
    table.add_row("north of 20° N", f"{manifest.rows_north_of_20:,} of {manifest.rows:,}")
    cost = f"{manifest.kmeans_cost:.4f} after {manifest.kmeans_iterations} iterations"
    table.add_row(f"K-means cost, K = {len(manifest.genres)}", cost)
    for name, network in manifest.networks.items():
        parameters = bundle.networks[name].parameter_count
        table.add_row(f"{name} network", f"{parameters:,} parameters, weights of epoch {network.epochs}")
        table.add_row("  training accuracy", f"{network.training_accuracy:.3f}")
        table.add_row("  validation accuracy", f"{network.validation_accuracy:.3f}")
    table.add_row("always the commoner side", "")
    table.add_row("  validation accuracy", f"{manifest.majority_accuracy:.3f}")
    table.add_row("seconds", f"{seconds:.1f}")
    table.add_row("written", f"{files} files in {output}")
    table.add_row("model version", bundle.version)
    Console().print(table)


def collect(bundle: ModelBundle, **results: object) -> Metrics:
    """All figures of a run, as JSON knows them: of the bundle, and of each result by its name.

    Numbers have six decimals; what is not defined is null.
    """
    manifest = bundle.manifest
    return {
        "model_version": bundle.version,
        "seed": manifest.seed,
        "data": {
            "sha256": manifest.data_sha256,
            "rows": manifest.rows,
            "rows_north_of_20": manifest.rows_north_of_20,
            "places": [_plain(place) for place in manifest.places],
            "training_rows": manifest.training_rows,
            "validation_rows": manifest.validation_rows,
        },
        "libraries": {"python": manifest.libraries["python"]} | {library: version(library) for library in LIBRARIES},
        "kmeans": {"cost": _plain(manifest.kmeans_cost), "iterations": manifest.kmeans_iterations},
        "majority_accuracy": _plain(manifest.majority_accuracy),
        "networks": {
            name: {"parameters": bundle.networks[name].parameter_count, **_plain(summary)}
            for name, summary in manifest.networks.items()
        },
        "genre_places": [_plain(genre) for genre in manifest.genres],
        **{name: _plain(result) for name, result in results.items()},
    }


def write(text: str, path: Path) -> None:
    """Writes a text file, the same on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")


def as_json(metrics: Metrics) -> str:
    """The text of metrics.json."""
    return json.dumps(metrics, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def model_card(metrics: Metrics) -> str:
    """The model card in Markdown, with Hugging Face's front matter, from the figures of `collect`."""
    front_matter = yaml.safe_dump(_front_matter(metrics), sort_keys=False, allow_unicode=True, width=120)
    sections = (
        _introduction,
        _data,
        _training,
        _evaluation,
        _places,
        _calibration,
        _genres,
        _notebook,
        _limits,
        _repeat,
    )
    body = "\n".join(section(metrics) for section in sections)
    return f"---\n{front_matter}---\n\n" + "\n\n".join(map(_wrapped, body.split("\n\n"))).rstrip() + "\n"


def _front_matter(metrics: Metrics) -> Metrics:
    results = []
    for protocol, models in metrics["north"].items():
        for network in metrics["networks"]:
            figures = models[network]
            results.append(_result(f"{network} network", "north of 20° N", protocol, figures))
    results.append(_result("places network", "place of origin", "ten folds", metrics["place"]))
    results.append(_result("places network", "origin in km", "ten folds", metrics["origin"]["places"]))
    return {
        "language": "en",
        "license": "mit",
        "library_name": "keras",
        "pipeline_tag": "tabular-classification",
        "tags": ["music", "audio-features", "geography", "k-means", "tabular-classification"],
        "datasets": ["geographical-original-of-music"],
        "metrics": ["accuracy", "roc_auc"],
        "model-index": [{"name": "music-origin", "results": results}],
    }


def _result(model: str, task: str, protocol: str, figures: Mapping[str, Metrics]) -> Metrics:
    return {
        "task": {"type": "tabular-classification", "name": f"{task}, {model}"},
        "dataset": {
            "type": "geographical-original-of-music",
            "name": "Geographical Original of Music",
            "split": protocol,
        },
        "metrics": [
            {
                "type": HUGGING_FACE_TYPES.get(name, name),
                "name": f"{name}, mean over {protocol}",
                "value": figure["mean"],
                "args": {"spread": figure["spread"], "interval_95": [figure["low"], figure["high"]]},
            }
            for name, figure in figures.items()
        ],
    }


def _introduction(metrics: Metrics) -> str:
    held_out = metrics["north"]["held-out places"]
    return f"""# music-origin

Model version `{metrics["model_version"]}`, seed {metrics["seed"]}.

Four small models of traditional music, each from 68 audio features of a piece: K-means **genres**
(K = {len(metrics["genre_places"])}), and three networks. `simple` and `hidden` tell whether the piece comes from
north of
20° N; `places` says which of {len(metrics["data"]["places"])} places it comes from, and so where on Earth and on which
side of 20° N.

**What they know.** They recognise which of the {len(metrics["data"]["places"])} places (or even recordings) a piece
resembles. They do not know where on Earth unheard music comes from: with whole places held out, the `places` network
tells the side of 20° N of {_mean(held_out["places"]["accuracy"])} of the pieces, `hidden` of
{_mean(held_out["hidden"]["accuracy"])}, `simple` of {_mean(held_out["simple"]["accuracy"])}, and always answering north
is right for {_mean(held_out["majority"]["accuracy"])}.

**Meant for** work with this data set, or with features scaled as in it: study, teaching, and as an example of a
model in
service. **Not meant for** saying where a recording, a style or a person comes from.
"""


def _data(metrics: Metrics) -> str:
    data = metrics["data"]
    source = (
        """Geographical Original of Music, UCI Machine Learning Repository, data set 315, CC BY 4.0 (Fang Zhou, "
        f"Claire Q. and
Ross D. King, "Predicting the Geographical Origin of Music", ICDM 2014)"""
        if data["sha256"] == SHA256
        else "A file of the user's own, in the form of the data set Geographical Original of Music"
    )
    return f"""## Data

{source}: {data["rows"]:,} pieces of traditional music, 68 features each, with the coordinates of
{len(data["places"])} places, the capitals of their countries or provinces. {data["rows_north_of_20"]} pieces are from
north of 20° N. SHA-256 `{data["sha256"]}`.
"""


def _training(metrics: Metrics) -> str:
    rows = [
        (
            f"`{recipe.name}`",
            f"{metrics['networks'][recipe.name]['parameters']:,}",
            f"68 → {f'{recipe.hidden_units} relu → ' if recipe.hidden_units else ''}"
            f"{len(metrics['data']['places']) if recipe.name == 'places' else 2} {recipe.activation}",
            str(metrics["networks"][recipe.name]["epochs"]),
            _regularisation(recipe),
            *(
                f"{metrics['networks'][recipe.name][figure]:.3f}"
                for figure in ("training_accuracy", "training_log_loss", "validation_accuracy", "validation_log_loss")
            ),
        )
        for recipe in RECIPES
    ]
    data = metrics["data"]
    head = (
        "network",
        "parameters",
        "layers",
        "epochs",
        "while training",
        "training accuracy",
        "training log loss",
        "validation accuracy",
        "validation log loss",
    )
    return f"""## How it was trained

The rows were shuffled (seed {metrics["seed"]}) into {data["training_rows"]} to train on and
{data["validation_rows"]} to
validate on. K-means saw all of them: Lloyd's algorithm, the best of ten k-means++ starts, cost
{metrics["kmeans"]["cost"]:.4f} after {metrics["kmeans"]["iterations"]} iterations. The networks saw the training rows:
Adam at 0.001, categorical cross-entropy, batches of at most 64. Accuracies and log losses (nats) in telling the side of
20° N, on this one split, where always north is right for {metrics["majority_accuracy"]:.3f} of the validation rows:

{_table(head, rows)}

The epochs were fixed beforehand, not chosen by a validation row of this table. `simple` goes on to epoch 300 since
at the
notebook's 100 its loss still falls. The label smoothing and the epochs of `places` were chosen by log loss on inner
splits, 640 of each random split's 800 training rows against the other 160.
"""


def _regularisation(recipe: Recipe) -> str:
    parts = [
        f"{recipe.members} members averaged" if recipe.members > 1 else "",
        f"input noise {recipe.input_noise:g}" if recipe.input_noise else "",
        f"dropout {recipe.dropout:g}" if recipe.dropout else "",
        f"label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else "",
    ]
    return ", ".join(part for part in parts if part)


def _evaluation(metrics: Metrics) -> str:
    parts = [
        """## How it was evaluated, and the results

Every model was fitted anew on every split and measured on the rows left out, in telling the side of 20° N. *Random
splits*: 20 shuffles into 800 and 259. *Ten folds*: every row is left out once. *Held-out places*: 11 folds, each
without
any piece of three places. Each figure is the mean over the splits ± its standard deviation over them, and in brackets a
95 % interval for the mean, widened for what the splits share (the corrected resampled t test of Nadeau and Bengio). The
calibration error has ten bins; on so few rows chance alone keeps it well above zero.
"""
    ]
    for protocol, models in metrics["north"].items():
        rows = [
            (f"`{model}`" if model in metrics["networks"] else model, *(_cell(figures[name]) for name in METRIC_NAMES))
            for model, figures in models.items()
        ]
        parts.append(f"### {protocol.capitalize()}\n\n{_table(('model', *METRIC_NAMES.values()), rows)}\n")
    parts.append(_plot("accuracy_by_place", "Two maps of accuracy by place, with and without the place in training"))
    return "\n".join(parts)


def _places(metrics: Metrics) -> str:
    place = metrics["place"]
    rows = [
        (
            f"`{name}`" if name in metrics["networks"] else name,
            _cell(figures["mean_error_km"], 0),
            _cell(figures["median_error_km"], 0),
        )
        for name, figures in metrics["origin"].items()
    ]
    return f"""## Place and origin

Over ten folds, the place that `places` finds likeliest is the true one for {_cell(place["top_1"])} of the pieces,
and the
true one is among its first three for {_cell(place["top_3"])}. As origin stands the point on Earth of least expected
great-circle distance; its distance from the true place, in km:

{_table(("model", "mean error", "median error"), rows)}

The error that `places` itself expects, and replies as `expected_error_km`, is
{_cell(metrics["origin"]["places"]["expected_error_km"], 0)} km in the mean.

{_plot("confusion", "Which place is taken for which, over ten folds")}"""


def _calibration(metrics: Metrics) -> str:
    errors = ", ".join(f"`{name}` {error:.3f}" for name, error in metrics["pooled_calibration_error"].items())
    return f"""## Calibration

With the validation rows of all random splits put together, the calibration errors are: {errors}.

{_plot("reliability", "Reliability diagrams of the three networks")}"""


def _genres(metrics: Metrics) -> str:
    quality = metrics["genre_quality"]
    rows = [
        (
            str(number),
            str(genre["size"]),
            f"{genre['share_north_of_20']:.2f}",
            f"{examined['silhouette']:.2f}",
            ", ".join(f"{each['feature']} ({each['z_score']:+.1f})" for each in examined["distinctive_features"]),
            ", ".join(f"{_place_name(place)} {place['share']:.0%}" for place in genre["places"]),
        )
        for number, (genre, examined) in enumerate(zip(metrics["genre_places"], quality["genres"], strict=True))
    ]
    head = ("genre", "pieces", "share north", "silhouette", "most distinctive features (z-score)", "commonest places")
    seeds, bootstraps = quality["stability_over_seeds"], quality["stability_over_bootstraps"]
    return f"""## Genres

The genres are clusters of these features that nobody named, and no sharp ones: the mean silhouette is
{quality["silhouette"]:.3f} (1 is well apart, 0 is on the border). Fitted again from other seeds they come out with an
adjusted Rand index of {_range(seeds)}; from pieces drawn with replacement, of {_range(bootstraps)} (1 is the same, 0 is
chance). So take a genre's number as a description of a neighbourhood in these features, not as a kind of music.

A z-score is the distance of the genre's mean of a feature from the mean of all pieces, in that feature's standard
deviations; features are numbered from 1.

{_table(head, rows)}

{_plot("genre_map", "Origins of the pieces on a world map, by genre")}"""


def _notebook(metrics: Metrics) -> str:
    claims = metrics["notebook"]
    rows_north, rows = metrics["data"]["rows_north_of_20"], metrics["data"]["rows"]
    parameters = {name: metrics["networks"][name]["parameters"] for name in ("simple", "hidden")}
    early, loss_40, loss_100 = claims["early_excess"], claims["hidden_loss_at_40"], claims["hidden_loss_at_100"]
    table = [
        (
            "679 of 1,059 pieces are from north of 20° N",
            f"{rows_north} of {rows:,}",
            _verdict((rows_north, rows) == (679, 1059)),
        ),
        (
            "the cost is near its minimum after 4 iterations",
            f"K = 10: then {_percent(early)} above the tenth iteration's, with {claims['early_share']['mean']:.0%} of "
            f"the "
            "fall from the first to the tenth behind it",
            f"within {PERCENT_NEAR_LEAST:g} %: {_verdict(early['mean'] * 100 < PERCENT_NEAR_LEAST)}",
        ),
        (
            "the scree has no elbow",
            f"from K = 3 on, no fall is less than {claims['least_drop_ratio']:.2f} of the one before",
            _verdict(claims["least_drop_ratio"] > ELBOW_RATIO),
        ),
        (
            "138 and 2,274 parameters",
            f"{parameters['simple']:,} and {parameters['hidden']:,}",
            _verdict((parameters["simple"], parameters["hidden"]) == (138, 2274)),
        ),
        (
            "one layer: 0.741 at best over 100 epochs",
            f"maximum {_range(claims['simple_maximum'])}; at epoch 100 {_range(claims['simple_at_100'])}",
            _maximum_verdict(0.741, claims["simple_maximum"], claims["simple_at_100"]),
        ),
        (
            "hidden layer: 0.795 at best over 100 epochs",
            f"maximum {_range(claims['hidden_maximum'])}; at epoch 40 {_range(claims['hidden_at_40'])}",
            _maximum_verdict(0.795, claims["hidden_maximum"], claims["hidden_at_40"]),
        ),
        (
            "the hidden layer overfits past epoch 40",
            f"from epoch 40 to 100: training accuracy {claims['hidden_training_at_40']['mean']:.3f} to "
            f"{claims['hidden_training_at_100']['mean']:.3f}, validation accuracy "
            f"{claims['hidden_at_40']['mean']:.3f} to "
            f"{claims['hidden_at_100']['mean']:.3f}, validation log loss {loss_40['mean']:.3f} to "
            f"{loss_100['mean']:.3f}; "
            f"that is least at epoch {_range(claims['hidden_least_loss_epoch'], 0)}",
            _verdict(loss_100["mean"] > loss_40["mean"]),
        ),
    ]
    return f"""## The notebook's claims

The notebook that this project began with looked at one split. Here are 20 random splits, or 20 random starts: the
mean ±
the standard deviation, and the least to the greatest. Its accuracies are maxima over the epochs on the very rows that
they are measured on; as such they are shown, beside what the network has at an epoch that was fixed beforehand.

{_table(("claim", "here", "does it stand?"), table)}

{_plot("cost_histories", "K-means cost by iteration")}
{_plot("scree", "K-means cost by number of genres")}
{_plot("simple_accuracy", "Accuracy of the simple network by epoch")}
{_plot("hidden_accuracy", "Accuracy of the hidden network by epoch")}"""


def _limits(metrics: Metrics) -> str:
    held_out = metrics["north"]["held-out places"]
    return f"""## Limits

- **Unheard places.** With whole places held out, always answering north is right for
  {_cell(held_out["majority"]["accuracy"])} of the pieces, and `places` for {_cell(held_out["places"]["accuracy"])}.
Its log
  loss there is {_mean(held_out["places"]["log_loss"])}, that of the majority's share
  {_mean(held_out["majority"]["log_loss"])}. The service cannot tell that a piece is from such a place.
- **Recordings.** Pieces of one place may come from one album or archive; recognising a place may be recognising a
  recording. The data cannot tell the two apart.
- **Scale.** The features were standardised with means and deviations that were not published; a new recording cannot be
  brought to exactly this scale.
- **Places** stand for whole countries by their capitals, and {len(metrics["data"]["places"])} places are not the world.
- The recipe of `places` was found on these same pieces. Its choice looked at inner splits only, but an inner row of one
  split is a validation row of another, so its figures are a little kinder than those of a recipe found elsewhere.
"""


def _repeat(metrics: Metrics) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in metrics["libraries"].items())
    seed = f" --seed {metrics['seed']}" if metrics["seed"] else ""
    return f"""## How to repeat it

`python -m training{seed}` (or `make report`) writes this card, the plots, `metrics.json` with every figure, and the
models. With the same seed, machine and versions they are the same, byte for byte. Versions: {libraries}.
"""


def _plain(value: Any) -> Any:
    """The value in the types of JSON, numbers with six decimals, what is not finite as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, DECIMALS) if math.isfinite(value) else None
    return value


def _wrapped(paragraph: str) -> str:
    """A paragraph or list in lines of at most 120 characters; tables, titles and images as they are."""
    if paragraph.lstrip().startswith(("|", "#", "!")):
        return paragraph
    items = re.split(r"\n(?=- )", paragraph.strip("\n"))
    return "\n".join(
        textwrap.fill(" ".join(item.split()), 120, subsequent_indent="  " if item.startswith("- ") else "")
        for item in items
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plot(name: str, description: str) -> str:
    return f"![{description}](plots/{name}.png)\n"


def _mean(estimate: Metrics) -> str:
    return f"{estimate['mean']:.3f}" if estimate["mean"] is not None else "not defined"


def _cell(estimate: Metrics, decimals: int = 3) -> str:
    if estimate["low"] is None:
        return _mean(estimate)
    mean, spread, low, high = (f"{estimate[name]:,.{decimals}f}" for name in ("mean", "spread", "low", "high"))
    return f"{mean} ± {spread} ({low} to {high})"


def _range(distribution: Metrics, decimals: int = 3) -> str:
    mean, spread, least, greatest = (
        f"{distribution[name]:.{decimals}f}" for name in ("mean", "spread", "least", "greatest")
    )
    return f"{mean} ± {spread} ({least} to {greatest})"


def _percent(distribution: Metrics) -> str:
    return f"{distribution['mean']:.1%} ({distribution['least']:.1%} to {distribution['greatest']:.1%})"


def _place_name(place: Metrics) -> str:
    return place["country"] or f"{place['latitude']:g}, {place['longitude']:g}"


def _verdict(stands: bool) -> str:
    return "it stands" if stands else "it does not stand"


def _maximum_verdict(claimed: float, maximum: Metrics, fixed: Metrics) -> str:
    if not maximum["least"] <= claimed <= maximum["greatest"]:
        return "it does not stand"
    return (
        f"only as a maximum picked on the validation rows; in the mean {maximum['mean'] - fixed['mean']:.3f} too high"
    )
