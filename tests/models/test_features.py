from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, DTypeLike, NDArray

from models.features import FEATURE_BOUND, FEATURE_COUNT, FeatureError, as_feature_matrix


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_matrix_is_returned_without_a_copy(dtype: DTypeLike) -> None:
    values: NDArray[Any] = np.zeros((3, FEATURE_COUNT), dtype)
    assert as_feature_matrix(values) is values


def test_one_vector_becomes_one_row() -> None:
    matrix = as_feature_matrix(list(range(FEATURE_COUNT)))
    assert matrix.shape == (1, FEATURE_COUNT)
    assert matrix.dtype == np.float64


def test_bound_itself_is_allowed() -> None:
    as_feature_matrix(np.full(FEATURE_COUNT, -FEATURE_BOUND))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0.0] * 67, r"shape \(n, 68\), not \(1, 67\)"),
        (np.zeros((2, 2, 68)), "shape"),
        ([[0.0] * 68, [0.0] * 67], "equal length"),
        (["1"] * 68, "numbers"),
        ([True] * 68, "numbers"),
        (np.zeros(68, complex), "numbers"),
    ],
)
def test_what_is_not_rows_of_68_numbers_is_refused(values: ArrayLike, message: str) -> None:
    with pytest.raises(FeatureError, match=message) as caught:
        as_feature_matrix(values)
    assert caught.value.row is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1000.1, -1e300])
def test_value_outside_the_bound_is_refused_with_its_place(value: float) -> None:
    values = np.zeros((5, FEATURE_COUNT))
    values[3, 9] = value
    with pytest.raises(FeatureError, match="feature 10 must be a finite number between -1000 and 1000") as caught:
        as_feature_matrix(values)
    assert caught.value.row == 3
