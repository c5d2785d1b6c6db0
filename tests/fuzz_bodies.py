"""Bodies that the OpenAPI document cannot describe, for schemathesis: it loads this module by schemathesis.toml."""

import io
from itertools import chain, cycle, islice
from typing import Any

import numpy as np
import pyarrow as pa
import schemathesis
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.features import FEATURE_BOUND, FEATURE_COUNT
from service import forms, rows
from service.schemas import EXAMPLE_FEATURES
from service.tensors import OUTPUTS

numbers = st.floats(-FEATURE_BOUND, FEATURE_BOUND, width=32)
# A few of the cells are drawn and repeated: what matters here is the form, and Hypothesis would take long to draw all.
tables = st.tuples(st.integers(1, 4), st.sampled_from(rows.WIDTHS), st.lists(numbers, min_size=1, max_size=9)).map(
    lambda drawn: np.resize(np.array(drawn[2]), drawn[:2])
)


def as_csv(table: NDArray[np.float64], separator: str, header: bool) -> bytes:
    lines = [separator.join(map(str, row)) for row in table.tolist()]
    names = [separator.join(f"feature {column}" for column in range(table.shape[1]))] if header else []
    return "\n".join([*names, *lines]).encode()


def as_npy(table: NDArray[np.float64], kind: str, order: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, table.astype(kind, order=order))
    return stream.getvalue()


def as_arrow(table: NDArray[np.float64], in_lists: bool) -> bytes:
    columns = {"features": table.tolist()} if in_lists else {f"f{index}": each for index, each in enumerate(table.T)}
    return arrow_stream(pa.table(columns))


def arrow_stream(content: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, content.schema) as writer:
        writer.write_table(content)
    stream: bytes = sink.getvalue().to_pybytes()
    return stream


for name, strategy in {
    forms.CSV: st.builds(as_csv, tables, st.sampled_from(rows.SEPARATORS), st.booleans()),
    forms.NPY: st.builds(as_npy, tables, st.sampled_from(["<f4", ">f4", "<f8", ">f8"]), st.sampled_from("CF")),
    forms.ARROW: st.builds(as_arrow, tables, st.booleans()),
}.items():
    schemathesis.openapi.media_type(name, strategy)


@schemathesis.hook
def before_load_schema(_: schemathesis.HookContext, document: dict[str, Any]) -> None:
    """Leaves out the example of CSV: beside a strategy of bytes schemathesis takes no text."""
    for path in document["paths"].values():
        for operation in path.values():
            operation.get("requestBody", {}).get("content", {}).get(forms.CSV, {}).pop("example", None)


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], __: dict[str, Any]) -> None:
    """Gives a valid tensor as many numbers as its shape says, and asks for outputs that the model has."""
    valid = case.meta and case.meta.generation.mode.is_positive
    if not valid or not case.path.endswith("/infer"):
        return
    body: Any = case.body
    (tensor,) = body["inputs"]
    tensor["shape"] = [
        int(min(tensor["shape"][0], 9)),
        FEATURE_COUNT,
    ]  # to JSON Schema 1.0 is whole, to the protocol not
    data: list[Any] = tensor.get("data") or EXAMPLE_FEATURES
    values = [*chain.from_iterable(data)] if isinstance(data[0], list) else data
    tensor["data"] = [*islice(cycle(values or EXAMPLE_FEATURES), tensor["shape"][0] * FEATURE_COUNT)]
    tensor.pop("parameters", None)
    names = cycle(output.name for output in OUTPUTS[case.path_parameters["model"]])
    for output in body.get("outputs") or []:
        output["name"] = next(names)
