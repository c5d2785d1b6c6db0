"""Which columns are the features, and which rows cannot be scored."""

import re

import numpy as np
import pyarrow as pa
import pytest

from scoring.columns import bad_rows, choose, matrix
from scoring.errors import ScoringError
from tests.scoring.conftest import made_features, made_table

FEATURES = tuple(f"feature_{number}" for number in range(1, 69))


def floats(*names: str) -> pa.Schema:
    return pa.schema([(name, pa.float32()) for name in names])


@pytest.mark.parametrize(
    "schema",
    [
        floats(*FEATURES),
        pa.schema([("id", pa.int64()), *floats(*FEATURES)]),
        pa.schema([("id", pa.string()), *[(name, pa.int8()) for name in FEATURES]]),
        floats("Latitude", "lon", *FEATURES),
        floats(*FEATURES, "latitude", "longitude"),
    ],
    ids=["alone", "whole ids", "whole features", "a place before", "a place behind"],
)
def test_the_68_columns_of_numbers_are_the_features(schema: pa.Schema) -> None:
    assert choose(schema, None) == FEATURES


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 68), pa.large_list(pa.int16())])
def test_lists_named_features_are_the_features(kind: pa.DataType) -> None:
    assert choose(pa.schema([("features", kind), *floats(*FEATURES)]), None) == ("features",)


@pytest.mark.parametrize("columns", [68, 70])
def test_columns_without_names_are_the_features(columns: int) -> None:
    """As in the published data, which has the place behind them."""
    names = [str(number) for number in range(1, columns + 1)]
    assert choose(floats(*names), None) == tuple(names[:68])


def test_features_may_be_named() -> None:
    schema = pa.schema([("id", pa.string()), *floats("a", *FEATURES, "b"), ("lists", pa.list_(pa.float32()))])
    assert choose(schema, "feature_1:feature_68") == FEATURES
    assert choose(schema, ", ".join(reversed(FEATURES))) == FEATURES[::-1]
    assert choose(schema, "lists") == ("lists",)


@pytest.mark.parametrize(
    ("schema", "asked", "message"),
    [
        (
            floats(*FEATURES, "other"),
            None,
            "69 columns hold fractions and 0 whole numbers, and neither are 68; name those of",
        ),
        (floats(*FEATURES, "a", "b"), None, "70 columns hold fractions"),
        (floats(*FEATURES[1:]), None, "feature_2, feature_3, feature_4, feature_5, feature_6, feature_7, feature_8, f"),
        (pa.schema([("features", pa.list_(pa.string()))]), None, "0 columns hold fractions"),
        (
            pa.schema([("id", pa.int64()), *floats(*FEATURES[1:])]),
            None,
            "67 columns hold fractions and 1 whole numbers",
        ),
        (floats("lat", "lon", *FEATURES[:66]), None, "68 columns hold fractions"),
        (pa.schema([("vector", pa.list_(pa.float64()))]), None, "with --columns, as --columns vector (the columns"),
        (floats(*sorted(FEATURES)), None, "are not numbered one after the other"),
        (
            floats(*FEATURES[1:], "score"),
            None,
            "feature_2, feature_3, feature_4, feature_5, feature_6, feature_7, featu",
        ),
        (floats(*FEATURES), ",".join([*FEATURES[:67], FEATURES[0]]), "names a column twice"),
        (floats(*FEATURES), "feature_1:feature_67", "names 67 columns"),
        (floats(*FEATURES), "feature_1,feature_2", "names 2 columns"),
        (floats(*FEATURES), "feature_0", "there is no column 'feature_0': the columns are feature_1, feature_2"),
        (floats(*FEATURES), "feature_1:feature_69", "there is no column 'feature_1:feature_69'"),
        (pa.schema([("id", pa.string()), *floats(*FEATURES)]), "id:feature_67", "column 'id' holds string"),
        (floats(*FEATURES, "feature_1"), None, "two columns have the same name"),
    ],
)
def test_features_that_cannot_be_told_are_an_error(schema: pa.Schema, asked: str | None, message: str) -> None:
    with pytest.raises(ScoringError, match=re.escape(message)):
        choose(schema, asked)


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_matrix_has_the_columns_in_order(count: int) -> None:
    features = made_features(count)
    (batch,) = made_table(features).combine_chunks().to_batches() or [
        pa.RecordBatch.from_pylist([], made_table(features).schema)
    ]
    values, reasons = matrix(batch, FEATURES)
    np.testing.assert_array_equal(values, features)
    assert values.dtype == np.float32
    assert not reasons
    values, _ = matrix(batch, FEATURES[::-1])
    np.testing.assert_array_equal(values, features[:, ::-1])


def test_numbers_keep_their_digits() -> None:
    exact = 0.1 + np.arange(68)
    batch = pa.record_batch([pa.array([value]) for value in exact], list(FEATURES))
    assert matrix(batch, FEATURES)[0].tolist() == [exact.tolist()]
    batch = pa.record_batch([pa.array([2**30 + 1], pa.int32())] * 68, list(FEATURES))
    assert matrix(batch, FEATURES)[0].tolist() == [[2.0**30 + 1] * 68]


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 68)], ids=str
)
def test_lists_are_rows(kind: pa.DataType) -> None:
    features = made_features(4).astype(np.float64)
    lists = [*features.tolist(), None]
    batch = pa.record_batch([pa.array(lists, kind)], ["features"])
    values, reasons = matrix(batch, ("features",))
    np.testing.assert_allclose(values[:4], features, rtol=1e-6)
    assert np.isnan(values[4]).all()
    assert reasons == {4: "is null"}
    values, _ = matrix(batch.slice(1, 2), ("features",))  # whose offsets do not begin at 0
    np.testing.assert_allclose(values, features[1:3], rtol=1e-6)


def test_lists_of_another_length_are_told() -> None:
    row = made_features(1)[0].tolist()
    lists = [row[:67], row, [*row, 0.0], [], [None, *row[1:]]]
    values, reasons = matrix(pa.record_batch([pa.array(lists)], ["features"]), ("features",))
    assert bad_rows(values, reasons) == {
        0: "has 67 features, and not 68",
        2: "has 69 features, and not 68",
        3: "has 0 features, and not 68",
        4: "has no number as feature 1",
    }
    np.testing.assert_allclose(values[1], row)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "has no number as feature 7"),
        (np.inf, "has inf as feature 7, which must lie between -1000 and 1000"),
        (-1000.1, "has -1000.1 as feature 7, which must lie between -1000 and 1000"),
    ],
)
def test_bad_rows_are_told(value: float, reason: str) -> None:
    features = made_features(3)
    features[1, 6] = value
    assert bad_rows(features, {}) == {1: reason}
    features[1, 6] = 1000
    assert bad_rows(features, {}) == {}
