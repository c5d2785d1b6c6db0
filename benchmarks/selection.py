"""Chooses the recipe of the places network as an outsider would have to: within each split's training rows alone.

`make selection`, or `python -m benchmarks.selection`, writes benchmarks/SELECTION.md.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle import probability_of_north
from training import metrics, networks
from training.dataset import Dataset, Split, load_dataset
from training.protocols import protocols
from training.recipes import PLACES, Recipe

INNER_SHARE = 0.8
CANDIDATES = {
    "no label smoothing, 40 epochs": replace(PLACES, label_smoothing=0.0, epochs=40),
    "no label smoothing, 75 epochs": replace(PLACES, label_smoothing=0.0, epochs=75),
    "in use: label smoothing 0.1, 120 epochs": PLACES,
    "200 epochs": replace(PLACES, epochs=200),
    "label smoothing 0.2": replace(PLACES, label_smoothing=0.2),
    "512 hidden units, dropout 0.7": replace(PLACES, hidden_units=512, dropout=0.7),
}


def main() -> None:
    """Fits every candidate on the inner and the outer part of every random split, and writes what comes of it."""
    dataset = load_dataset()
    outer = protocols(dataset, 0)[0].splits
    inner = [_inner(split) for split in outer]
    inner_losses, outer_losses, outer_accuracies = (np.empty((len(CANDIDATES), len(outer))) for _ in range(3))
    for row, recipe in enumerate(CANDIDATES.values()):
        inner_losses[row], _ = _measure(recipe, dataset, inner)
        outer_losses[row], outer_accuracies[row] = _measure(recipe, dataset, outer)
    picked = inner_losses.argmin(axis=0)
    text = _results(inner_losses, outer_losses, outer_accuracies, picked)
    Path(__file__).with_name("SELECTION.md").write_text(text, encoding="utf-8", newline="\n")
    print(text)


def _inner(split: Split) -> Split:
    boundary = round(INNER_SHARE * len(split.training))
    return Split(split.training[:boundary], split.training[boundary:])


def _measure(recipe: Recipe, dataset: Dataset, splits: list[Split]) -> tuple[list[float], list[float]]:
    """Log loss and accuracy of each split's validation rows."""
    fit = networks.fit(recipe, dataset, [split.training for split in splits], range(len(splits)))
    north = probability_of_north(recipe.name, fit.probabilities, dataset.places)
    rows = [
        (probabilities[split.validation], dataset.north_of_20[split.validation])
        for probabilities, split in zip(north, splits, strict=True)
    ]
    return [metrics.log_loss(*row) for row in rows], [metrics.accuracy(*row) for row in rows]


def _results(
    inner_losses: NDArray[np.float64],
    outer_losses: NDArray[np.float64],
    outer_accuracies: NDArray[np.float64],
    picked: NDArray[np.intp],
) -> str:
    columns = np.arange(inner_losses.shape[1])
    lines = [
        f"| {name} | {inner_losses[row].mean():.4f} | {(picked == row).sum()} | {outer_losses[row].mean():.4f} | "
        f"{outer_accuracies[row].mean():.4f} |"
        for row, name in enumerate(CANDIDATES)
    ]
    table = "\n".join(lines)
    nested = outer_losses[picked, columns].mean(), outer_accuracies[picked, columns].mean()
    return f"""# The choice of the places network's recipe

Written by `make selection`. Of each of the 20 random splits, four fifths of the training rows trained every candidate
and one fifth measured it; what it came to on the split's validation rows stands beside. All are five members of 256
hidden units with input noise 0.3 and dropout 0.5, smoothed by 0.1 over 120 epochs, but for what they are called by.

| candidate | inner log loss | splits that choose it | validation log loss | validation accuracy |
| --- | --- | --- | --- | --- |
{table}
| **nested: each split's own choice** | {inner_losses.min(axis=0).mean():.4f} | {len(columns)} | {nested[0]:.4f} | \
{nested[1]:.4f} |

The last line is what choosing is worth on rows that had no part in it. The recipe in use has a fixed choice; where its
line differs from the last one, that is what this choice may owe to the rows it is reported on.
"""


if __name__ == "__main__":
    main()
