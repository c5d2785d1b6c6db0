"""What is done with each partition of a catalogue, by whichever worker gets it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.bundle import ModelBundle
from scoring.catalogue import Catalogue
from scoring.columns import bad_rows
from scoring.errors import ScoringError
from scoring.files import Partition, Rows
from scoring.output import Outcome, Output
from scoring.predictions import MANIFEST_KEY, VERSION_COLUMN, predict, schema


@dataclass(frozen=True)
class Job:
    """The scoring of a catalogue: what is read, what is predicted, where it goes, and what becomes of bad rows.

    `parts` are some of predictions.PARTS; `bad_rows` is `error`, `null` or `drop`; the names of the predicted columns
    begin with `prefix`.
    """

    catalogue: Catalogue
    output: Output
    parts: tuple[str, ...]
    bad_rows: str
    prefix: str

    def schema(self, bundle: ModelBundle) -> pa.Schema:
        """The columns that are written. Raises ScoringError where two would have one name, or a form has no such."""
        predicted = [field.with_name(self.prefix + field.name) for field in schema(bundle, self.parts)]
        others = self.catalogue.others
        if twice := [field.name for field in predicted if field.name in others.names]:
            raise ScoringError(f"the input has a column '{twice[0]}' too: choose a --prefix, such as predicted_")
        if self.output.form == "csv" and (nested := [field.name for field in others if pa.types.is_nested(field.type)]):
            raise ScoringError(f"CSV cannot hold column '{nested[0]}', of lists: write Parquet")
        manifest = {**asdict(bundle.manifest), "fingerprint": bundle.fingerprint}
        metadata = {MANIFEST_KEY: json.dumps(manifest, sort_keys=True), VERSION_COLUMN: bundle.version}
        return pa.schema([*others, *predicted], metadata)

    def plan(self, bundle: ModelBundle) -> str:
        """What another run must have in common with this one to go on with it."""
        catalogue = self.catalogue
        partitions = hashlib.sha256(json.dumps(catalogue.partitions).encode()).hexdigest()
        same = [bundle.fingerprint, catalogue.stamp, partitions, catalogue.features, self.parts, self.prefix]
        return json.dumps([*same, repr(catalogue.form), self.output.form])

    def score(self, bundle: ModelBundle, index: int) -> Outcome:
        """Scores one partition and writes its file. Raises ScoringError, and what reading may raise."""
        partition, columns = self.catalogue.partitions[index], self.schema(bundle)
        outcome = Outcome(rows=0, written=0, bad=0, first_bad=None, bad_rows=self.bad_rows, bytes=0)
        with self.output.part(index, columns) as write:
            for rows in self._rows(partition):
                table = pa.table(self._scored(bundle, partition, rows, outcome), columns)
                outcome["written"] += len(table)
                write(table)
        return self.output.note(index, outcome)

    def _rows(self, partition: Partition) -> Iterator[Rows]:
        catalogue = self.catalogue
        return catalogue.form.read(catalogue.source, partition, catalogue.features, catalogue.others)

    def _scored(self, bundle: ModelBundle, partition: Partition, rows: Rows, outcome: Outcome) -> list[pa.Array]:
        """The columns of some rows, which are added to the outcome."""
        features, others = rows.features, rows.others
        bad = bad_rows(features, rows.reasons)
        if bad and not outcome["bad"]:
            row, reason = outcome["rows"] + min(bad), bad[min(bad)]
            outcome["first_bad"] = row, reason
            if self.bad_rows == "error":
                named = self.named(partition, row, reason)
                raise ScoringError(f"{named}; --bad-rows null or drop goes on without such rows")
        outcome["rows"] += len(features)
        outcome["bad"] += len(bad)
        is_bad = np.zeros(len(features), np.bool_)
        is_bad[[*bad]] = True
        if bad and self.bad_rows == "drop":
            features = features[~is_bad]
            others = others.filter(pa.array(~is_bad)) if others.num_columns else others
            is_bad = is_bad[~is_bad]
        features[is_bad] = 0
        predicted = predict(bundle, features, self.parts)
        if is_bad.any():
            predicted = {name: _without(column, is_bad) for name, column in predicted.items()}
        return [*others.columns, *predicted.values()]

    def named(self, partition: Partition, row: int, reason: str) -> str:
        """A row, by where it is in its file, and what is wrong with it."""
        where = self.catalogue.form.position(self.catalogue.source, partition, row)
        return f"{partition.file}: {where} {reason}"


def _without(column: pa.Array, is_bad: NDArray[np.bool_]) -> pa.Array:
    return pc.if_else(pa.array(is_bad), pa.scalar(None, column.type), column)
