"""What a run shows at its end."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.bundle import ModelBundle


def print_summary(bundle: ModelBundle, files: Sequence[Path], seconds: float) -> None:
    """Prints the run's figures as a table: data, cost, accuracies of both networks, seconds, files, model version."""
    manifest = bundle.manifest
    table = Table(title="music-origin training")
    table.add_column()
    table.add_column("result", overflow="fold")
    table.add_row(
        "rows", f"{manifest.rows:,}: {manifest.training_rows} to train, {manifest.validation_rows} to validate"
    )
    table.add_row("seed", str(manifest.seed))
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
    table.add_row("files", "\n".join(str(file) for file in files))
    table.add_row("model version", bundle.version)
    Console().print(table)
