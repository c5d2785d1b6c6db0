"""Which columns of a table hold the 68 features, and the features of its rows as one matrix."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from models.features import FEATURE_BOUND, FEATURE_COUNT, Floats, out_of_bounds
from scoring.errors import ScoringError

LIST_COLUMN = "features"
BLOCK_ROWS = 4096  # so many at a time that a block of the matrix stays in the processor's cache
PLACE_COLUMNS = {"lat", "latitude", "lon", "lng", "long", "longitude"}


def choose(schema: pa.Schema, asked: str | None) -> tuple[str, ...]:
    """The names of the 68 feature columns, or of the one that holds lists of them. Raises ScoringError.

    `asked` is a list of names, parted by commas, or the first and the last of neighbours, parted by a colon.
    """
    if len(set(schema.names)) < len(schema.names):
        raise ScoringError("two columns have the same name: rename one")
    return _asked(schema, asked) if asked else _found(schema)


def _asked(schema: pa.Schema, asked: str) -> tuple[str, ...]:
    first, colon, last = asked.partition(":")
    if asked not in schema.names and colon and {first, last} <= set(schema.names):
        names = schema.names[schema.names.index(first) : schema.names.index(last) + 1]
    else:
        names = [asked] if asked in schema.names else [name.strip() for name in asked.split(",")]
    for name in names:
        if name not in schema.names:
            raise ScoringError(f"there is no column '{name}': the columns are {_listed(schema.names)}")
    if len(names) == 1 and _is_list(schema.field(names[0]).type):
        return (names[0],)
    if len(set(names)) != len(names):
        raise ScoringError("--columns names a column twice")
    if len(names) != FEATURE_COUNT:
        raise ScoringError(f"--columns names {len(names)} columns: it must name {FEATURE_COUNT}, or one of lists")
    for name in names:
        if not _is_number(schema.field(name).type):
            raise ScoringError(f"column '{name}' holds {schema.field(name).type}, and not numbers")
    return tuple(names)


def _found(schema: pa.Schema) -> tuple[str, ...]:
    if LIST_COLUMN in schema.names and _is_list(schema.field(LIST_COLUMN).type):
        return (LIST_COLUMN,)
    if all(pa.types.is_null(kind) for kind in schema.types):
        raise ScoringError("there is no row to tell the features by: name them with --columns")
    fractions = [field.name for field in schema if pa.types.is_floating(field.type)]
    integers = [field.name for field in schema if pa.types.is_integer(field.type)]
    for names in (fractions, integers):  # but no mixture, which might be 67 features and an id
        # The published data have the place of origin beside the features, behind them where columns have no names.
        features = [name for name in names if name.lower() not in PLACE_COLUMNS]
        if features == [str(number + 1) for number in range(FEATURE_COUNT + 2)]:
            features = features[:FEATURE_COUNT]
        if len(features) == FEATURE_COUNT:
            _check_order(features)
            return tuple(features)
    lists = [field.name for field in schema if _is_list(field.type)]
    hint = f", as --columns {lists[0]}" if lists else ""
    raise ScoringError(
        f"the features cannot be told: {len(fractions)} columns hold fractions and {len(integers)} whole numbers, and "
        f"neither are {FEATURE_COUNT}; name those of the features with --columns{hint} (the columns are "
        f"{_listed(schema.names)})"
    )


def _check_order(names: Sequence[str]) -> None:
    """Raises ScoringError if most names end in numbers, but not all in one after the other.

    They may have been sorted as text, or one is missing and a column of something else has come in its place.
    """
    ends = [re.search(r"\d+$", name, re.ASCII) for name in names]
    numbers = [int(end[0]) for end in ends if end]
    if 2 * len(numbers) > len(names) and numbers != [*range(numbers[0], numbers[0] + len(names))]:
        raise ScoringError(
            f"the columns of numbers, {_listed(names)} to {names[-1]}, are not numbered one after the other: name "
            "those of the features with --columns"
        )


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join([*names[:most], "…"] if len(names) > most else names)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _is_list(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(is_list and _is_number(kind.value_type))


def matrix(batch: pa.RecordBatch, features: tuple[str, ...]) -> tuple[Floats, dict[int, str]]:
    """The features (n, 68) of a batch, and what is wrong with the rows that have not 68. What is missing is NaN."""
    if len(features) > 1:
        columns = [batch.column(name) for name in features]
        kind = np.result_type(*(precision(column.type) for column in columns))
        return side_by_side([column.to_numpy(zero_copy_only=False) for column in columns], kind), {}
    lists = batch.column(features[0])
    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
    whole = lengths == FEATURE_COUNT
    values = np.full((len(batch), FEATURE_COUNT), np.nan, precision(lists.type.value_type))
    whole_lists = lists if whole.all() else lists.filter(pa.array(whole))
    values[whole] = whole_lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, FEATURE_COUNT)
    return values, {row: _wrong_length(lengths[row]) for row in np.flatnonzero(~whole).tolist()}


def side_by_side(columns: Sequence[NDArray[Any]], kind: DTypeLike) -> Floats:
    """Columns (n,) as one matrix (n, columns)."""
    values = np.empty((len(columns[0]), len(columns)), kind)
    for start in range(0, len(values), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        for index, column in enumerate(columns):
            values[block, index] = column[block]
    return values


def precision(kind: pa.DataType) -> type[np.floating[Any]]:
    """In which a type of numbers is predicted: its own, if that is enough, or else the largest."""
    return np.float32 if pa.types.is_float16(kind) or pa.types.is_float32(kind) else np.float64


def _wrong_length(length: int) -> str:
    return "is null" if length < 0 else f"has {length} features, and not {FEATURE_COUNT}"


def bad_rows(values: Floats, reasons: Mapping[int, str]) -> dict[int, str]:
    """What is wrong with each row (n, 68) that cannot be scored."""
    outside = out_of_bounds(values)
    rows = np.flatnonzero(outside.any(axis=1)).tolist()
    return {row: reasons.get(row) or _flaw(values[row], outside[row]) for row in rows}


def _flaw(row: Floats, outside: NDArray[np.bool_]) -> str:
    feature = int(outside.argmax())
    value = row[feature]
    if np.isnan(value):
        return f"has no number as feature {feature + 1}"
    return f"has {value:g} as feature {feature + 1}, which must lie between -{FEATURE_BOUND:g} and {FEATURE_BOUND:g}"
