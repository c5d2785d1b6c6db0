"""The notebook's experiment, repeated over 20 seeds: cost histories, scree, and accuracy by epoch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training import kmeans
from training.metrics import Distribution, distribution
from training.networks import History

SEEDS = 20
HISTORY_GENRES = (3, 5, 10, 20)
HISTORY_ITERATIONS = 10
SCREE_GENRES = range(1, 21)
SCREE_RUNS = 3
EPOCHS = 100  # the notebook trained both networks for so many
LATER_EPOCH, EARLY_ITERATION = 40, 4  # from where it saw overfitting; by when it saw the cost near its least


@dataclass(frozen=True, eq=False)
class CostCurves:
    """What K-means costs.

    `histories`: for each number of genres, the cost (seeds, iterations) after each iteration from random rows.
    `scree_runs` (K, runs): the cost of single runs for K = 1, 2, …; `scree_best` (K,): the best of ten restarts.
    """

    histories: dict[int, NDArray[np.float64]]
    scree_runs: NDArray[np.float64]
    scree_best: NDArray[np.float64]


@dataclass(frozen=True)
class Claims:
    """What the notebook said, as 20 seeds give it here.

    With K = 10, `early_share` is the part of the fall in cost from the first to the tenth iteration that the fourth has
    reached, and `early_excess` the part by which the fourth's cost is above the tenth's.
    `drop_ratios`: for K = 2, 3, …, the ratio of the fall of the best cost from K to K + 1 to that from K - 1 to K; far
    below 1 at an elbow.
    The rest is over splits: accuracies and log losses on the validation rows of the simple and the hidden network, the
    maxima over the first 100 epochs.
    """

    early_share: Distribution
    early_excess: Distribution
    drop_ratios: tuple[float, ...]
    simple_maximum: Distribution
    simple_at_100: Distribution
    hidden_maximum: Distribution
    hidden_at_40: Distribution
    hidden_at_100: Distribution
    hidden_loss_at_40: Distribution
    hidden_loss_at_100: Distribution
    hidden_training_at_40: Distribution
    hidden_training_at_100: Distribution
    hidden_least_loss_epoch: Distribution


def cost_curves(rows: NDArray[np.float64], seed: int) -> CostCurves:
    """Fits K-means to rows (n, d) for every number of genres that the plots show, as far as there are rows."""
    distinct = len(np.unique(rows, axis=0))
    histories = {
        genres: _histories(rows, genres, seed)
        for genres in track(HISTORY_GENRES, description="K-means cost by iteration")
        if genres <= distinct
    }
    runs, best = [], []
    for genres in track(SCREE_GENRES, description="K-means cost by genres"):
        if genres <= distinct:
            generators = np.random.default_rng(seed).spawn(SCREE_RUNS)
            runs.append([run.cost for run in kmeans.lloyd(rows, kmeans.plus_plus(rows, genres, generators))])
            best.append(kmeans.fit(rows, genres, seed=seed).cost)
    return CostCurves(histories, np.array(runs), np.array(best))


def check_claims(curves: CostCurves, histories: Mapping[str, History]) -> Claims:
    """Puts figures to the notebook's claims, from the histories of its two networks over random splits."""
    simple, hidden = histories["simple"], histories["hidden"]
    costs = curves.histories[10]
    early_costs, falls = costs[:, EARLY_ITERATION - 1], costs[:, 0] - costs[:, -1]
    drops = -np.diff(curves.scree_best)
    training, validation = hidden.accuracy[..., 0], hidden.accuracy[..., 1]
    losses = hidden.log_loss[..., 1]
    early, last = LATER_EPOCH - 1, EPOCHS - 1
    return Claims(
        early_share=distribution(np.divide(costs[:, 0] - early_costs, falls, out=np.ones_like(falls), where=falls > 0)),
        early_excess=distribution(early_costs / costs[:, -1] - 1),
        drop_ratios=tuple((drops[1:] / drops[:-1]).tolist()),
        simple_maximum=distribution(simple.accuracy[:EPOCHS, :, 1].max(axis=0)),
        simple_at_100=distribution(simple.accuracy[last, :, 1]),
        hidden_maximum=distribution(validation[:EPOCHS].max(axis=0)),
        hidden_at_40=distribution(validation[early]),
        hidden_at_100=distribution(validation[last]),
        hidden_loss_at_40=distribution(losses[early]),
        hidden_loss_at_100=distribution(losses[last]),
        hidden_training_at_40=distribution(training[early]),
        hidden_training_at_100=distribution(training[last]),
        hidden_least_loss_epoch=distribution(losses[:EPOCHS].argmin(axis=0) + 1.0),
    )


def _histories(rows: NDArray[np.float64], genres: int, seed: int) -> NDArray[np.float64]:
    """Costs (seeds, iterations) of runs that start, as the notebook's did, from rows drawn at random."""
    generators = np.random.default_rng(seed).spawn(SEEDS)
    starts = np.array([rows[generator.choice(len(rows), genres, replace=False)] for generator in generators])
    runs = kmeans.lloyd(rows, starts, max_iterations=HISTORY_ITERATIONS)
    return np.array([np.pad(run.costs, (0, HISTORY_ITERATIONS - len(run.costs)), mode="edge") for run in runs])
