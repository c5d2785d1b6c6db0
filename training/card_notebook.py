"""The model card's section on the notebook's claims, each judged by the figures of many splits."""

from collections.abc import Sequence

from training.markdown import distribution, number, plot, table
from training.report import Metrics

NOTEBOOK_NORTH, NOTEBOOK_ROWS = 679, 1059
NOTEBOOK_PARAMETERS = {"simple": 138, "hidden": 2274}
NOTEBOOK_MAXIMA = {"simple": 0.741, "hidden": 0.795}

# Where the notebook gave no number, these are ours: "near its minimum", and what would be an elbow.
NEAR_LEAST = 0.02
ELBOW_RATIO = 0.5


def notebook(metrics: Metrics) -> str:
    """What the notebook claimed, what is found here, and whether the claim stands."""
    claims = metrics["notebook"]
    return f"""
## The notebook's claims

The notebook that this project began with looked at one split. Here are 20 random splits, or 20 random starts: the
mean ± the standard deviation, and the least to the greatest. Its accuracies are maxima over the epochs on the very
rows that they are measured on; as such they are shown, beside what the network has at an epoch that was fixed
beforehand.

{table(("claim", "here", "does it stand?"), [*_claims_of_data(metrics), *_claims_of_networks(claims)])}

{plot("cost_histories", "K-means cost by iteration")}
{plot("scree", "K-means cost by number of genres")}
{plot("simple_accuracy", "Accuracy of the simple network by epoch")}
{plot("hidden_accuracy", "Accuracy of the hidden network by epoch")}
"""


def _claims_of_data(metrics: Metrics) -> list[Sequence[str]]:
    claims, data = metrics["notebook"], metrics["data"]
    parameters = {name: metrics["networks"][name]["parameters"] for name in NOTEBOOK_PARAMETERS}
    found = data["rows_north_of_20"], data["rows"]
    early, ratios = claims["early_excess"], claims["drop_ratios"]
    elbows = [genres for genres, ratio in enumerate(ratios, start=2) if ratio < ELBOW_RATIO]
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
        f"{label} {number(claims[f'hidden_{name}40']['mean'])} to {number(claims[f'hidden_{name}100']['mean'])}"
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
            f"maximum {distribution(claims['simple_maximum'])}; at epoch 100 {distribution(claims['simple_at_100'])}",
            _maximum_verdict(NOTEBOOK_MAXIMA["simple"], claims["simple_maximum"], claims["simple_at_100"]),
        ),
        (
            f"hidden layer: {NOTEBOOK_MAXIMA['hidden']} at best over 100 epochs",
            f"maximum {distribution(claims['hidden_maximum'])}; at epoch 40 {distribution(claims['hidden_at_40'])}",
            _maximum_verdict(NOTEBOOK_MAXIMA["hidden"], claims["hidden_maximum"], claims["hidden_at_40"]),
        ),
        (
            "the hidden layer overfits past epoch 40",
            f"from epoch 40 to 100: {changes}; the log loss is least at epoch {distribution(least, 0)}",
            _verdict(overfits) + (", and by log loss it sets in earlier" if overfits and least["mean"] < 40 else ""),
        ),
    ]


def _verdict(stands: bool) -> str:
    return "it stands" if stands else "it does not stand"


def _maximum_verdict(claimed: float, maximum: Metrics, fixed: Metrics) -> str:
    if not maximum["least"] <= claimed <= maximum["greatest"]:
        return "it does not stand"
    return f"only as a maximum: choosing the epoch on the validation rows adds {maximum['mean'] - fixed['mean']:.3f}"
