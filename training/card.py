"""The model card: Markdown with Hugging Face's front matter, written from the figures of a run alone."""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

import yaml

from training.dataset import SHA256
from training.recipes import RECIPES, Recipe
from training.report import Metrics

NOTEBOOK_NORTH, NOTEBOOK_ROWS = 679, 1059
NOTEBOOK_PARAMETERS = {"simple": 138, "hidden": 2274}
NOTEBOOK_MAXIMA = {"simple": 0.741, "hidden": 0.795}

# Where the notebook gave no number, these are ours: "near its minimum", and what would be an elbow.
NEAR_LEAST = 0.02
ELBOW_RATIO = 0.5

METRIC_NAMES = {
    "accuracy": "accuracy",
    "log_loss": "log loss (nats)",
    "calibration_error": "calibration error",
    "area_under_roc": "area under ROC",
}
HUGGING_FACE_TYPES = {"area_under_roc": "roc_auc", "top_1": "accuracy", "top_3": "top_3_accuracy"}
UNDEFINED = "not defined"


def model_card(metrics: Metrics) -> str:
    """The card's text. What it says of the notebook and of choices is left out for other data than the published."""
    front_matter = yaml.safe_dump(_front_matter(metrics), sort_keys=False, allow_unicode=True, width=120)
    sections = [
        _introduction,
        _data,
        _training,
        _evaluation,
        _differences,
        _places,
        _calibration,
        _temperatures,
        _genres,
    ]
    if _published(metrics):
        sections.append(_notebook)
    sections += [_limits, _repeat]
    paragraphs = "\n\n".join(section(metrics).strip() for section in sections).split("\n\n")
    return f"---\n{front_matter}---\n\n" + "\n\n".join(map(_wrapped, paragraphs)) + "\n"


def _published(metrics: Metrics) -> bool:
    return bool(metrics["data"]["sha256"] == SHA256)


def _front_matter(metrics: Metrics) -> Metrics:
    results = [
        _result(f"north of 20° N, {network} network", protocol, models[network])
        for protocol, models in metrics["north"].items()
        for network in metrics["networks"]
    ]
    results.append(_result("place of origin, places network", "ten folds", metrics["place"]))
    results.append(_result("origin in km, places network", "ten folds", metrics["origin"]["places"]))
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


def _result(task: str, protocol: str, figures: Mapping[str, Metrics]) -> Metrics:
    return {
        "task": {"type": "tabular-classification", "name": task},
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
    places = len(metrics["data"]["places"])
    held_out = {
        name: _number(figures["accuracy"]["mean"]) for name, figures in metrics["north"]["held-out places"].items()
    }
    return f"""
# music-origin

Model version `{metrics["model_version"]}`, seed {metrics["seed"]}.

Four small models of traditional music, each from 68 audio features of a piece: K-means **genres**
(K = {len(metrics["genre_places"])}), and three networks. `simple` and `hidden` tell whether the piece comes from north
of 20° N; `places` says which of {places} places it comes from, and so where on Earth and on which side of 20° N.

**What they know.** They recognise which of the {places} places (or even recordings) a piece resembles. They do not
know where on Earth unheard music comes from: with whole places held out, the `places` network tells the side of 20°
N of {held_out["places"]} of the pieces, `hidden` of {held_out["hidden"]}, `simple` of {held_out["simple"]}, and
always answering the side that is commoner in training is right for {held_out["majority"]}.

**Meant for** work with this data set, or with features scaled as in it: study, teaching, and as an example of a model
in service. **Not meant for** saying where a recording, a style or a person comes from.
"""


def _data(metrics: Metrics) -> str:
    data = metrics["data"]
    source = "A file of the user's own, in the form of the data set Geographical Original of Music"
    if _published(metrics):
        source = (
            "Geographical Original of Music, UCI Machine Learning Repository, data set 315, CC BY 4.0 (Fang Zhou, "
            'Claire Q. and Ross D. King, "Predicting the Geographical Origin of Music", ICDM 2014). Its places are the '
            "capitals of the countries or provinces of origin"
        )
    return f"""
## Data

{source}. There are {data["rows"]:,} pieces, each with 68 features and the coordinates of one of {len(data["places"])}
places; {data["rows_north_of_20"]} are from north of 20° N. SHA-256 `{data["sha256"]}`.
"""


def _training(metrics: Metrics) -> str:
    data, kmeans = metrics["data"], metrics["kmeans"]
    head = ("network", "layers", "parameters", "epochs", "besides")
    figures = ("training_accuracy", "training_log_loss", "validation_accuracy", "validation_log_loss")
    rows = [
        (
            f"`{recipe.name}`",
            _layers(recipe, data["places"]),
            f"{metrics['networks'][recipe.name]['parameters']:,}",
            str(metrics["networks"][recipe.name]["epochs"]),
            _besides(recipe),
            *(_number(metrics["networks"][recipe.name][figure]) for figure in figures),
        )
        for recipe in RECIPES
    ]
    return f"""
## How it was trained

The rows were shuffled (seed {metrics["seed"]}) into {data["training_rows"]} to train on and
{data["validation_rows"]} to validate on. K-means saw all of them: Lloyd's algorithm, the best of ten k-means++
starts, cost {kmeans["cost"]:.4f} after {kmeans["iterations"]} iterations. The networks saw the training rows: Adam
at 0.001, batches of at most 64, categorical cross-entropy of the outputs divided by their sum, so that what is
trained is what is predicted also for sigmoid outputs (Keras 3 left alone would train the softmax of the logits
behind them).

Accuracies and log losses (nats) in telling the side of 20° N, on this one split, where always answering the side
that is commoner in training is right for {_number(metrics["majority_accuracy"])} of the validation rows:

{_table((*head, *(figure.replace("_", " ") for figure in figures)), rows)}

{_choices() if _published(metrics) else ""}
"""


def _choices() -> str:
    return """
How the recipes came about: `hidden` ends at epoch 40 since the notebook saw it overfit from there on; that notebook
looked at these same pieces. `simple` goes on to epoch 300, and not to the notebook's 100, since there its loss on the
training rows is still falling. The units, members, noise and dropout of `places` were given beforehand; its label
smoothing was chosen by log loss on inner splits of the training rows, and its epochs too, but for the time that more of
them take. `benchmarks/SELECTION.md` has the candidates, and what choosing is worth when each split makes its own
choice.
"""


def _evaluation(metrics: Metrics) -> str:
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
        rows = [(_model(metrics, model), *map(_estimate, figures.values())) for model, figures in models.items()]
        text += f"\n### {protocol.capitalize()}\n\n{_table(('model', *METRIC_NAMES.values()), rows)}\n"
    return text + "\n" + _plot("accuracy_by_place", "Two maps of accuracy by place, with and without it in training")


def _differences(metrics: Metrics) -> str:
    protocols = metrics["places_ahead"]
    models = next(iter(protocols.values()))
    rows = [
        (
            _model(metrics, model),
            *(
                _signed(protocols[protocol][model][metric])
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

{_table(("than", *head), rows)}
"""


def _places(metrics: Metrics) -> str:
    place, origin = metrics["place"], metrics["origin"]
    rows = [
        (_model(metrics, name), _estimate(figures["mean_error_km"], 0), _estimate(figures["median_error_km"], 0))
        for name, figures in origin.items()
    ]
    return f"""
## Place and origin

Over ten folds, the place that `places` finds likeliest is the true one for {_estimate(place["top_1"])} of the
pieces, and the true one is among its first three for {_estimate(place["top_3"])}. The probability of the likeliest
place has a calibration error of {_estimate(place["calibration_error"])}. As origin stands the point on Earth of
least expected great-circle distance. Its distance from the true place in km, as the mean and the median of a fold:

{_table(("model", "mean error", "median error"), rows)}

The error that `places` itself expects, and the service replies as `expected_error_km`, is
{_estimate(origin["places"]["expected_error_km"], 0)} km in the mean.

{_plot("confusion", "Which place is taken for which, over ten folds")}
"""


def _calibration(metrics: Metrics) -> str:
    rows = [(_model(metrics, name), _number(error)) for name, error in metrics["pooled_calibration_error"].items()]
    return f"""
## Calibration

The calibration error in telling the side of 20° N with the validation rows of all random splits put together, which
leaves less to chance than the mean over splits above:

{_table(("model", "calibration error"), rows)}

{_plot("reliability", "Reliability diagrams of the three networks")}
"""


def _temperatures(metrics: Metrics) -> str:
    effects = metrics["calibration"]
    rows: dict[str, list[str]] = {
        "temperature of this bundle": [_number(metrics["networks"][name]["temperature"], 2) for name in effects],
        "mean temperature of a split": [_estimate(effect["temperature"], 2) for effect in effects.values()],
    }
    for metric in ("log_loss", "calibration_error"):
        label = METRIC_NAMES[metric]
        rows[f"{label}, raw"] = [_estimate(effect["raw"][metric]) for effect in effects.values()]
        rows[f"{label}, calibrated"] = [_estimate(effect["calibrated"][metric]) for effect in effects.values()]
        rows[f"{label}, less by"] = [_signed(effect["gain"][metric]) for effect in effects.values()]
    for which in ("raw", "calibrated"):
        rows[f"calibration error, all splits together, {which}"] = [
            _number(effect[f"pooled_{which}"]) for effect in effects.values()
        ]
    return f"""
### By temperature

All other figures of this card are of the networks' raw probabilities. The service divides the log odds of north by a
temperature: above 1 it draws the probability towards one half, below 1 away from it, and the side stays the same. The
temperatures of this bundle are those of least log loss on its {metrics["data"]["validation_rows"]} validation rows,
which trained no network of it; `?calibrated=false` gives the raw figure. What that is worth was measured on the random
splits: each half of a split's validation rows was calibrated by the temperature of the other half, so that no row has
a part in its own.

{_table(("", *(f"`{name}`" for name in effects)), [(label, *row) for label, row in rows.items()])}

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


def _genres(metrics: Metrics) -> str:
    quality = metrics["genre_quality"]
    nearest, farthest = metrics["usual_distances"]
    head = ("genre", "pieces", "share north", "silhouette", "most distinctive features (z-score)", "commonest places")
    rows = [
        (
            str(number),
            str(genre["size"]),
            _number(genre["share_north_of_20"], 2),
            _number(examined["silhouette"], 2),
            ", ".join(f"{each['feature']} ({each['z_score']:+.1f})" for each in examined["distinctive_features"]),
            "; ".join(f"{_place_name(place)} {place['share']:.0%}" for place in genre["places"]),
        )
        for number, (genre, examined) in enumerate(zip(metrics["genre_places"], quality["genres"], strict=True))
    ]
    return f"""
## Genres

The genres are clusters of these features that nobody named. Their mean silhouette is {_number(quality["silhouette"])}
(1 is well apart, 0 is on the border). Fitted again from other seeds they come out with an adjusted Rand index of
{_distribution(quality["stability_over_seeds"])}; from pieces drawn with replacement, of
{_distribution(quality["stability_over_bootstraps"])} (1 is the same, 0 is chance; mean ± standard deviation, least to
greatest). Where these are low, a genre's number describes a neighbourhood in the features, not a kind of music.

A z-score is the distance of the genre's mean of a feature from the mean of all pieces, in that feature's standard
deviations; features are numbered by their columns from 1 (the service's error pointers count from 0).

{_table(head, rows)}

With a genre the service gives the *typicality* of the piece there, the share of the genre's training pieces that lie
farther from its centroid, and whether the piece is *unusual*: nearer than {_number(nearest, 2)} to the centroid or
farther than {_number(farthest, 2)}, as one training piece in a thousand is. Features at another scale may show there; a
piece that is not unusual may still be from a place or of a kind that training did not know.

{_plot("genre_map", "Origins of the pieces on a world map, by genre")}
"""


def _notebook(metrics: Metrics) -> str:
    claims = metrics["notebook"]
    return f"""
## The notebook's claims

The notebook that this project began with looked at one split. Here are 20 random splits, or 20 random starts: the
mean ± the standard deviation, and the least to the greatest. Its accuracies are maxima over the epochs on the very
rows that they are measured on; as such they are shown, beside what the network has at an epoch that was fixed
beforehand.

{_table(("claim", "here", "does it stand?"), [*_claims_of_data(metrics), *_claims_of_networks(claims)])}

{_plot("cost_histories", "K-means cost by iteration")}
{_plot("scree", "K-means cost by number of genres")}
{_plot("simple_accuracy", "Accuracy of the simple network by epoch")}
{_plot("hidden_accuracy", "Accuracy of the hidden network by epoch")}
"""


def _claims_of_data(metrics: Metrics) -> list[Sequence[str]]:
    claims, data = metrics["notebook"], metrics["data"]
    parameters = {name: metrics["networks"][name]["parameters"] for name in NOTEBOOK_PARAMETERS}
    found = data["rows_north_of_20"], data["rows"]
    early, ratios = claims["early_excess"], claims["drop_ratios"]
    elbows = [number for number, ratio in enumerate(ratios, start=2) if ratio < ELBOW_RATIO]
    return [
        (
            f"{NOTEBOOK_NORTH} of {NOTEBOOK_ROWS:,} pieces are from north of 20° N",
            f"{found[0]} of {found[1]:,}",
            _verdict(found == (NOTEBOOK_NORTH, NOTEBOOK_ROWS)),
        ),
        (
            "the cost is near its minimum after 4 iterations",
            f"K = 10: then {early['mean']:.1%} ({early['least']:.1%} to {early['greatest']:.1%}) above the tenth "
            f"iteration's, with {claims['early_share']['mean']:.0%} of the fall from the first to the tenth behind it",
            f"within {NEAR_LEAST:.0%}: {_verdict(early['mean'] < NEAR_LEAST)}",
        ),
        (
            "the scree has no elbow",
            f"a fall of the best of ten restarts is {ratios[0]:.2f} of the one before at K = 2, and from K = 3 on "
            f"never less than {min(ratios[1:]):.2f}",
            f"but for K = 2: {_verdict(elbows in ([], [2]))}" if elbows else _verdict(True),
        ),
        (
            "{simple:,} and {hidden:,} parameters".format(**NOTEBOOK_PARAMETERS),
            "{simple:,} and {hidden:,}".format(**parameters),
            _verdict(parameters == NOTEBOOK_PARAMETERS),
        ),
    ]


def _claims_of_networks(claims: Metrics) -> list[Sequence[str]]:
    changes = ", ".join(
        f"{label} {_number(claims[f'hidden_{name}40']['mean'])} to {_number(claims[f'hidden_{name}100']['mean'])}"
        for label, name in (
            ("training accuracy", "training_at_"),
            ("validation accuracy", "at_"),
            ("validation log loss", "loss_at_"),
        )
    )
    overfits = claims["hidden_loss_at_100"]["mean"] > claims["hidden_loss_at_40"]["mean"]
    least = claims["hidden_least_loss_epoch"]
    return [
        (
            f"one layer: {NOTEBOOK_MAXIMA['simple']} at best over 100 epochs",
            f"maximum {_distribution(claims['simple_maximum'])}; at epoch 100 {_distribution(claims['simple_at_100'])}",
            _maximum_verdict(NOTEBOOK_MAXIMA["simple"], claims["simple_maximum"], claims["simple_at_100"]),
        ),
        (
            f"hidden layer: {NOTEBOOK_MAXIMA['hidden']} at best over 100 epochs",
            f"maximum {_distribution(claims['hidden_maximum'])}; at epoch 40 {_distribution(claims['hidden_at_40'])}",
            _maximum_verdict(NOTEBOOK_MAXIMA["hidden"], claims["hidden_maximum"], claims["hidden_at_40"]),
        ),
        (
            "the hidden layer overfits past epoch 40",
            f"from epoch 40 to 100: {changes}; the log loss is least at epoch {_distribution(least, 0)}",
            _verdict(overfits) + (", and by log loss it sets in earlier" if overfits and least["mean"] < 40 else ""),
        ),
    ]


def _limits(metrics: Metrics) -> str:
    held_out = metrics["north"]["held-out places"]
    return f"""
## Limits

- **Unheard places.** With whole places held out, always answering the side that is commoner in training is right for
  {_estimate(held_out["majority"]["accuracy"])} of the pieces, and `places` for
  {_estimate(held_out["places"]["accuracy"])}. Its log loss there is
  {_number(held_out["places"]["log_loss"]["mean"])}, the majority's
  {_number(held_out["majority"]["log_loss"]["mean"])}. The service cannot tell that a piece is from such a place.
- **Recordings.** Pieces of one place may come from one album or archive; recognising a place may be recognising a
  recording. The data cannot tell the two apart.
- **Scale.** Features must be scaled as in training. The means and deviations that scaled the published data were not
  published, so a new recording cannot be brought to exactly this scale.
- **Places.** {len(metrics["data"]["places"])} places are not the world, and each stands for all that is around it.
- **Choices.** Whoever made the recipes had seen results on these pieces, so every figure is a little kinder than it
  would be on music that nobody has looked at.
"""


def _repeat(metrics: Metrics) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in metrics["libraries"].items())
    seed = f" --seed {metrics['seed']}" if metrics["seed"] else ""
    return f"""
## How to repeat it

`python -m training{seed}` (or `make report`) writes this card, the plots (each also as SVG, for print), the models,
and `metrics.json` with every figure of this card. With the same seed, machine and versions they are the same, byte
for byte. Versions: {libraries}.
"""


def _layers(recipe: Recipe, places: Sequence[Metrics]) -> str:
    hidden = f"{recipe.hidden_units} relu → " if recipe.hidden_units else ""
    return f"68 → {hidden}{len(places) if recipe.name == 'places' else 2} {recipe.activation}"


def _besides(recipe: Recipe) -> str:
    parts = (
        f"{recipe.members} members averaged" if recipe.members > 1 else "",
        f"input noise {recipe.input_noise:g}" if recipe.input_noise else "",
        f"dropout {recipe.dropout:g}" if recipe.dropout else "",
        f"label smoothing {recipe.label_smoothing:g}" if recipe.label_smoothing else "",
    )
    return ", ".join(part for part in parts if part) or "–"


def _model(metrics: Metrics, name: str) -> str:
    return f"`{name}`" if name in metrics["networks"] else name


def _place_name(place: Metrics) -> str:
    return place["country"] or f"({place['latitude']:g}, {place['longitude']:g})"


def _number(value: float | None, decimals: int = 3) -> str:
    return UNDEFINED if value is None else f"{value:,.{decimals}f}"


def _estimate(estimate: Metrics, decimals: int = 3) -> str:
    if estimate["low"] is None:
        return _number(estimate["mean"], decimals)
    mean, spread, low, high = (_number(estimate[name], decimals) for name in ("mean", "spread", "low", "high"))
    return f"{mean} ± {spread} ({low} to {high})"


def _signed(estimate: Metrics) -> str:
    if estimate["low"] is None:
        return UNDEFINED
    return f"{estimate['mean']:+.3f} ({estimate['low']:+.3f} to {estimate['high']:+.3f})"


def _distribution(distribution: Metrics, decimals: int = 3) -> str:
    mean, spread, least, greatest = (
        _number(distribution[name], decimals) for name in ("mean", "spread", "least", "greatest")
    )
    return f"{mean} ± {spread} ({least} to {greatest})"


def _verdict(stands: bool) -> str:
    return "it stands" if stands else "it does not stand"


def _maximum_verdict(claimed: float, maximum: Metrics, fixed: Metrics) -> str:
    if not maximum["least"] <= claimed <= maximum["greatest"]:
        return "it does not stand"
    return f"only as a maximum: choosing the epoch on the validation rows adds {maximum['mean'] - fixed['mean']:.3f}"


def _wrapped(paragraph: str) -> str:
    """A paragraph or list in lines of at most 120 characters; tables, titles and images as they are."""
    if paragraph.startswith(("|", "#", "!")):
        return paragraph
    items = re.split(r"\n(?=- )", paragraph)
    return "\n".join(
        textwrap.fill(" ".join(item.split()), 120, subsequent_indent="  " if item.startswith("- ") else "")
        for item in items
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def _plot(name: str, description: str) -> str:
    return f"![{description}](plots/{name}.png)\n"
