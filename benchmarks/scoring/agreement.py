"""Whether two folders hold the same predictions."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.predictions import MEASURE

TOLERANCE = 1e-5  # float32 sums of another order, by the size of a batch


class DisagreementError(Exception):
    """Predictions that are not those of other rows or another arithmetic."""


def read(folder: Path) -> pa.Table:
    """All rows of a folder, in the order of their identifiers."""
    return pq.read_table(sorted(folder.rglob("*.parquet"))).sort_by("id")


def differing_rows(ours: pa.Table, theirs: pa.Table) -> int:
    """How many rows have anything that differs, measures by more than TOLERANCE. Raises DisagreementError.

    Where two places are as likely but for rounding, either may come out as the likelier one; but genres are the same.
    """
    if ours.schema.names != theirs.schema.names or not ours["id"].equals(theirs["id"]):
        raise DisagreementError("other rows or columns were written")
    differs = np.zeros(len(ours), np.bool_)
    for field in ours.schema:
        one, other = ours[field.name].to_numpy(), theirs[field.name].to_numpy()
        if field.type == MEASURE:
            differs |= ~np.isclose(one, other, TOLERANCE, TOLERANCE)
        else:
            differs |= one != other
        if field.name == "genre" and differs.any():
            raise DisagreementError(f"{differs.sum():,} rows have another genre")
    return int(differs.sum())
