"""A catalogue: its files, their columns, and the partitions in which it is scored."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import pyarrow as pa
from fsspec import AbstractFileSystem
from fsspec.utils import infer_compression

from scoring.columns import choose
from scoring.csv_files import csv_files
from scoring.errors import ScoringError
from scoring.files import Form, Partition, find
from scoring.npy_files import NpyFiles
from scoring.parquet_files import ParquetFiles

FORMS = {".parquet": "Parquet", ".pq": "Parquet", ".csv": "CSV", ".tsv": "CSV", ".npy": ".npy"}
FOOTERS_AT_A_TIME = 16  # most of the time that reading one takes is waiting, where it is far away


@dataclass(frozen=True)
class Catalogue:
    """What is to be scored: the columns of the features (68, or one of lists), the others, and the parts.

    `stamp` is another one when any of the files has changed.
    """

    source: AbstractFileSystem
    form: Form
    features: tuple[str, ...]
    others: pa.Schema
    partitions: tuple[Partition, ...]
    stamp: str


def open_catalogue(address: str, columns: str | None, delimiter: str | None, header: str) -> Catalogue:
    """Looks at every file of a catalogue, but not at its rows. Raises ScoringError."""
    source, files = find(address)
    form = _form(source, files, delimiter, header)
    with ThreadPoolExecutor(FOOTERS_AT_A_TIME) as pool:
        described = [*pool.map(partial(_describe, source, form), files)]
    (schema, _), *rest = described
    for file, (other, _) in zip(files[1:], rest, strict=True):
        if other.names != schema.names or (form.typed and other != schema):
            raise ScoringError(f"{file} has other columns than {files[0]}: score them one by one")
    features = choose(schema, columns)
    others = [field if form.typed else field.with_type(pa.string()) for field in schema if field.name not in features]
    partitions = tuple(partition for _, parts in described for partition in parts)
    return Catalogue(source, form, features, pa.schema(others), partitions, _stamp(map(source.ukey, files)))


def _form(source: AbstractFileSystem, files: list[str], delimiter: str | None, header: str) -> Form:
    forms = {_suffix(file) for file in files}
    if len({FORMS.get(suffix) for suffix in forms}) > 1:
        raise ScoringError(f"the files end in {', '.join(sorted(forms))}: they must be of one form")
    (form,) = {FORMS.get(suffix) for suffix in forms}
    if form == "CSV":
        return csv_files(source, files[0], delimiter or ("\t" if ".tsv" in forms else ","), header)
    if form is None:
        raise ScoringError(f"{files[0]} is of no form that is read: name it .parquet, .csv, .tsv or .npy")
    return ParquetFiles() if form == "Parquet" else NpyFiles()


def _suffix(file: str) -> str:
    path = PurePosixPath(file)
    return (path.with_suffix("") if infer_compression(file) else path).suffix.lower()


def _describe(source: AbstractFileSystem, form: Form, file: str) -> tuple[pa.Schema, list[Partition]]:
    try:
        return form.describe(source, file)
    except (OSError, ValueError, EOFError) as error:  # pyarrow's errors are ValueErrors or OSErrors
        raise ScoringError(f"{file} cannot be read: {error}") from error


def _stamp(keys: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode())
    return digest.hexdigest()
