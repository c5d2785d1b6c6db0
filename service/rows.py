"""The body of a batch, in each of its forms, read to one matrix of features."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import simdjson
from fastapi.exceptions import RequestValidationError
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from models.features import FEATURE_BOUND, FEATURE_COUNT, Floats
from service.bodies import count
from service.hot_path import refuse_rows
from service.problems import MAX_ERRORS
from service.schemas import Batch, Piece

WIDTHS = (FEATURE_COUNT, FEATURE_COUNT + 2)  # a line of the published data set ends in latitude and longitude
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
SEPARATORS = "\t;,"
LINE_ENDS = "\n\r"

Error = dict[str, Any]
validate_batch = TypeAdapter(Batch).validate_json
validate_piece = TypeAdapter(Piece).validate_python


@dataclass(frozen=True, eq=False)
class Rows:
    """The features (n, 68) of a batch, and which further columns of the body, counted from 1, were left aside."""

    features: Floats
    ignored_columns: tuple[int, ...] = ()


def read_json(body: bytes, max_rows: int) -> Rows:
    """Reads `{"features": [[68 numbers], …]}`."""
    brackets = count(body, "[")
    if brackets > max_rows + 1:  # those around all rows, and around each
        refuse_rows(max_rows)
    try:
        return Rows(_parse_batch(body, brackets))
    except Exception:  # the quick way fails in many ways; pydantic decides, and has words for what is wrong
        # Between numbers are commas, so nothing is built of a body with too many of these, or of too many objects.
        if count(body, ",") >= max_rows * FEATURE_COUNT or brackets + count(body, "{") > max_rows + 2:
            refuse_rows(max_rows)
        return _validate_batch(body)


def _parse_batch(body: bytes, brackets: int) -> NDArray[np.float64]:
    """The rows (n, 68) of a sound batch, without an object for each number. Fails for anything else."""
    document: Any = simdjson.Parser().parse(body)
    features = _parse_table(document["features"], brackets)
    if len(document) != 1 or features.shape[1] != FEATURE_COUNT or body[0] > 127:  # it skips a byte order mark
        raise ValueError("not a batch")
    if not -FEATURE_BOUND <= features.min() <= features.max() <= FEATURE_BOUND:
        raise ValueError("out of bounds")
    return features


def _parse_table(rows: Any, brackets: int) -> NDArray[np.float64]:
    """The numbers of an array of arrays as long as each other. Fails for anything else."""
    (width,) = {len(row) for row in rows}
    if brackets != len(rows) + 1:
        raise ValueError("simdjson would flatten what is nested")
    return np.frombuffer(rows.as_buffer(of_type="d")).reshape(-1, width)


def _validate_batch(body: bytes) -> Rows:
    """The rows. Raises RequestValidationError for anything else."""
    try:
        batch = from_json(body)
    except ValueError as error:
        raise _invalid([{"type": "json_invalid", "loc": (), "ctx": {"error": str(error)}}]) from error
    if errors := _shape_errors(batch):  # pydantic would tell of every name that is not known, of which may be many
        raise _invalid(errors)
    try:
        rows = validate_batch(body).features
    except ValidationError as error:  # the quick check stops at the first value that is wrong
        raise _invalid(_first(_row_errors(index, row) for index, row in enumerate(batch["features"]))) from error
    return Rows(np.array(rows, np.float64))


def _shape_errors(batch: Any) -> list[Error]:
    """What is wrong but for the rows."""
    if not isinstance(batch, dict):
        return [{"type": "model_type", "loc": ()}]
    if "features" not in batch:
        return [{"type": "missing", "loc": ("features",)}]
    if len(batch) > 1:
        return [{"type": "extra_forbidden", "loc": ("another name",)}]
    if not isinstance(batch["features"], list):
        return [{"type": "rows_type", "loc": ("features",), "ctx": {"length": FEATURE_COUNT}}]
    return [] if batch["features"] else [{"type": "no_rows", "loc": ("features",)}]


def _row_errors(index: int, row: object) -> Iterator[Error]:
    try:
        validate_piece({"features": row})
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            _, *columns = each["loc"]
            cell = (index + 1, *(int(column) + 1 for column in columns[:1]))
            yield {**each, "loc": ("features", index, *columns), "cell": cell}


def read_csv(body: bytes, max_rows: int, header: bool | None = None) -> Rows:
    """Reads lines of 68 numbers, or of 70 as in the published data set, parted by comma, semicolon or tab.

    Unless `header` tells whether the first line is one, it is if its cells are names, all different and none a number;
    numbers that count up are asked about. With semicolons and tabs, numbers may have decimal commas.
    """
    # Twice as many as there may be, for blank lines, two-part line ends and decimal commas.
    most_lines = 2 * (max_rows + 1)
    if count(body, LINE_ENDS) > 2 * most_lines or count(body, SEPARATORS) > most_lines * max(WIDTHS):
        refuse_rows(max_rows)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid([{"type": "encoding", "loc": (), "ctx": {"expected": "UTF-8 text"}}]) from error
    # str.splitlines knows ends of lines that were not counted.
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    separator = next((each for each in SEPARATORS if each in "".join(lines[:1])), ",")
    if separator != ",":
        lines = [line.replace(",", ".") for line in lines]
    if header is None:
        header = _is_header(_cells("".join(lines[:1]), separator))
    if header:
        del lines[:1]
    _check_row_count(len(lines), max_rows)
    try:
        table = _parse_lines(lines, separator)
    except Exception:  # as in JSON: what is written in another way is read cell by cell, and what is wrong is found
        table = _read_cells([_cells(line, separator) for line in lines])
    return _checked(table)


def _parse_lines(lines: Sequence[str], separator: str) -> NDArray[np.float64]:
    """The numbers of lines that are as JSON would have them: no quotes, nothing missing. Fails for anything else."""
    text = f"[[{'],['.join(lines)}]]".replace(separator, ",")
    table = _parse_table(simdjson.Parser().parse(text), text.count("["))
    if len(table) != len(lines):
        raise ValueError("a line has brackets of its own")
    return table


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a cell of more than 131,072 characters
        return [line]


def _is_header(cells: Sequence[str]) -> bool:
    """Whether the cells are names: all different, and none a number. What else may be a row must not be lost."""
    numbers = [_number(cell) for cell in cells[: max(WIDTHS)]]
    if len(numbers) > 1 and numbers in ([*range(len(numbers))], [*range(1, len(numbers) + 1)]):
        raise _invalid([{"type": "numbered", "loc": ("features", 0), "cell": (1,)}])
    return len(cells) in WIDTHS and len({*cells}) == len(cells) and numbers.count(None) == len(cells)


def _read_cells(rows: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """The numbers, cell by cell, where the quick way failed. Raises RequestValidationError for what is none."""
    width = len(rows[0]) if len(rows[0]) in WIDTHS else FEATURE_COUNT
    if errors := _first(_cell_errors(index, row, width) for index, row in enumerate(rows)):
        raise _invalid(errors)
    return np.array([[_number(cell) for cell in row] for row in rows], np.float64)


def _cell_errors(index: int, row: Sequence[str], width: int) -> Iterator[Error]:
    if len(row) != width:
        yield _length_error(index, len(row), width)
        return
    for column, cell in enumerate(row):
        if _number(cell) is None:
            yield _cell_error("cell_type", index, column)


def _number(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None
    except ValueError:
        return None


def read_npy(body: bytes, max_rows: int) -> Rows:
    """Reads a float32 or float64 array (n, 68), or (n, 70) as in the published data set, as `numpy.save` writes it."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran_order, dtype = NPY_HEADERS[version](stream)
    except Exception as error:  # damaged bytes make NumPy's reader fail in more ways than can be listed
        raise _not_a_table("an array as numpy.save writes it") from error
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise _not_a_table("an array of float32 or float64")
    if len(shape) != 2 or not all(type(length) is int for length in shape):  # NumPy takes True for 1
        raise _not_a_table(f"an array of two dimensions, (rows, {FEATURE_COUNT})")
    _check_row_count(shape[0], max_rows)
    _check_width(shape[1])
    start = stream.tell()
    if len(body) - start != shape[0] * shape[1] * dtype.itemsize:
        raise _not_a_table("as long as its header says: it was cut off, or more follows")
    values = np.frombuffer(body, dtype, offset=start).reshape(shape, order="F" if fortran_order else "C")
    return _checked(values.astype(dtype.newbyteorder("="), order="C", copy=False))


def read_arrow(body: bytes, max_rows: int) -> Rows:
    """Reads a stream of 68 or 70 number columns, or one list column `features`."""
    from service import arrow

    try:
        table = arrow.read(body, max_rows)
    except arrow.TooManyRowsError:
        refuse_rows(max_rows)
    except arrow.TableError as error:
        raise _not_a_table(str(error)) from error
    _check_row_count(len(table), max_rows)
    _check_width(table.shape[1])
    return _checked(table)


def _checked(table: Floats) -> Rows:
    """The table's features. Raises RequestValidationError for another width or for values that are out of bounds."""
    _check_width(table.shape[1])
    features = table[:, :FEATURE_COUNT]
    outside = ~(np.abs(features) <= FEATURE_BOUND)  # the negation is true of NaN as well
    if outside.any():
        cells = np.argwhere(outside)[: MAX_ERRORS + 1]
        raise _invalid([_bound_error(int(row), int(column), float(features[row, column])) for row, column in cells])
    return Rows(np.ascontiguousarray(features), tuple(range(FEATURE_COUNT + 1, table.shape[1] + 1)))


def _bound_error(row: int, column: int, value: float) -> Error:
    if not np.isfinite(value):
        return _cell_error("finite_cell", row, column)
    if value > 0:
        return _cell_error("less_than_equal", row, column, le=FEATURE_BOUND)
    return _cell_error("greater_than_equal", row, column, ge=-FEATURE_BOUND)


def _cell_error(kind: str, row: int, column: int, **context: float) -> Error:
    return {"type": kind, "loc": ("features", row, column), "cell": (row + 1, column + 1), "ctx": context}


def _length_error(row: int, length: int, expected: int) -> Error:
    hint = " (is one of them an index? leave it out)" if length == expected + 1 else ""
    context = {"expected": expected, "actual": length, "hint": hint}
    return {"type": "row_length", "loc": ("features", row), "cell": (row + 1,), "ctx": context}


def _check_width(columns: int) -> None:
    if columns not in WIDTHS:
        raise _invalid([_length_error(0, columns, FEATURE_COUNT)])


def _check_row_count(rows: int, max_rows: int) -> None:
    if rows < 1:
        raise _invalid([{"type": "no_rows", "loc": ("features",)}])
    if rows > max_rows:
        refuse_rows(max_rows)


def _not_a_table(expected: str) -> RequestValidationError:
    return _invalid([{"type": "table", "loc": (), "ctx": {"expected": expected}}])


def _first(errors: Iterable[Iterable[Error]]) -> list[Error]:
    """As many as are told of, and one to tell that there are more."""
    return list(islice(chain.from_iterable(errors), MAX_ERRORS + 1))


def _invalid(errors: Iterable[Error]) -> RequestValidationError:
    return RequestValidationError([each | {"loc": ("body", *each["loc"])} for each in errors])
