"""The model card: Markdown with Hugging Face's front matter, written from the figures of a run alone."""

from collections.abc import Mapping, Sequence

import yaml

from training import card_notebook, card_results
from training.dataset import SHA256
from training.markdown import distribution, estimate, number, plot, table, wrapped
from training.recipes import RECIPES, Recipe
from training.report import Metrics

HUGGING_FACE_TYPES = {"area_under_roc": "roc_auc", "top_1": "accuracy", "top_3": "top_3_accuracy"}
PLACES_PER_GENRE = 5


def model_card(metrics: Metrics) -> str:
    """The card's text. What it says of the notebook and of choices is left out for other data than the published."""
    front_matter = yaml.safe_dump(_front_matter(metrics), sort_keys=False, allow_unicode=True, width=120)
    sections = [
        _introduction,
        _data,
        _training,
        card_results.evaluation,
        card_results.differences,
        card_results.places,
        card_results.calibration,
        card_results.temperatures,
        _genres,
    ]
    if _published(metrics):
        sections.append(card_notebook.notebook)
    sections += [_limits, _repeat]
    paragraphs = "\n\n".join(section(metrics).strip() for section in sections).split("\n\n")
    return f"---\n{front_matter}---\n\n" + "\n\n".join(map(wrapped, paragraphs)) + "\n"


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
        name: number(figures["accuracy"]["mean"]) for name, figures in metrics["north"]["held-out places"].items()
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
            *(number(metrics["networks"][recipe.name][figure]) for figure in figures),
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
that is commoner in training is right for {number(metrics["majority_accuracy"])} of the validation rows:

{table((*head, *(figure.replace("_", " ") for figure in figures)), rows)}

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


def _genres(metrics: Metrics) -> str:
    quality = metrics["genre_quality"]
    nearest, farthest = metrics["usual_distances"]
    head = ("genre", "pieces", "share north", "silhouette", "most distinctive features (z-score)", "commonest places")
    rows = [
        (
            str(index),
            str(genre["size"]),
            number(genre["share_north_of_20"], 2),
            number(silhouette, 2),
            ", ".join(f"{each['feature']} ({each['z_score']:+.1f})" for each in genre["distinctive_features"]),
            "; ".join(f"{_place_name(place)} {place['share']:.0%}" for place in genre["places"][:PLACES_PER_GENRE]),
        )
        for index, (genre, silhouette) in enumerate(
            zip(metrics["genre_places"], quality["genre_silhouettes"], strict=True)
        )
    ]
    return f"""
## Genres

The genres are clusters of these features that nobody named. Their mean silhouette is {number(quality["silhouette"])}
(1 is well apart, 0 is on the border). Fitted again from other seeds they come out with an adjusted Rand index of
{distribution(quality["stability_over_seeds"])}; from pieces drawn with replacement, of
{distribution(quality["stability_over_bootstraps"])} (1 is the same, 0 is chance; mean ± standard deviation, least to
greatest). Where these are low, a genre's number describes a neighbourhood in the features, not a kind of music.

A z-score is the distance of the genre's mean of a feature from the mean of all pieces, in that feature's standard
deviations; features are numbered by their columns from 1 (the service's error pointers count from 0).

{table(head, rows)}

With a genre the service gives the *typicality* of the piece there, the share of the genre's training pieces that lie
farther from its centroid, and whether the piece is *unusual*: nearer than {number(nearest, 2)} to the centroid or
farther than {number(farthest, 2)}, as one training piece in a thousand is. Features at another scale may show there; a
piece that is not unusual may still be from a place or of a kind that training did not know.

{plot("genre_map", "Origins of the pieces on a world map, by genre")}
"""


def _limits(metrics: Metrics) -> str:
    held_out = metrics["north"]["held-out places"]
    return f"""
## Limits

- **Unheard places.** With whole places held out, always answering the side that is commoner in training is right for
  {estimate(held_out["majority"]["accuracy"])} of the pieces, and `places` for
  {estimate(held_out["places"]["accuracy"])}. Its log loss there is
  {number(held_out["places"]["log_loss"]["mean"])}, the majority's
  {number(held_out["majority"]["log_loss"]["mean"])}. The service cannot tell that a piece is from such a place.
- **Recordings.** Pieces of one place may come from one album or archive; recognising a place may be recognising a
  recording. The data cannot tell the two apart.
- **Scale.** Features must be scaled as in training. The means and deviations that scaled the published data were not
  published, so a new recording cannot be brought to exactly this scale.
- **Places.** {len(metrics["data"]["places"])} places are not the world, and each stands for all that is around it.
- **Choices.** Whoever made the recipes had seen results on these pieces, so every figure is a little kinder than it
  would be on music that nobody has looked at.
"""


def _repeat(metrics: Metrics) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in metrics["libraries"].items())
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


def _place_name(place: Metrics) -> str:
    return place["country"] or f"({place['latitude']:g}, {place['longitude']:g})"
