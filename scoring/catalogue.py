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
from scoring.errors import ScoringError, explained
from scoring.files import Form, Partition, find
from scoring.npy_files import NpyFiles
from scoring.parquet_files import ParquetFiles

FORMS = {".parquet": "Parquet", ".pq": "Parquet", ".csv": "CSV", ".tsv": "CSV", ".txt": "CSV", ".npy": ".npy"}
FOOTERS_AT_A_TIME = 16  # most of the time that reading one takes is waiting, where it is far away


@dataclass(frozen=True)
class Catalogue:
    """What is to be scored: the columns of the features (68, or one of lists), the others, and the parts.

    `root` is the address as its file system has it; `stamp` is another one when any of the files has changed.
    """

    source: AbstractFileSystem
    root: str
    form: Form
    features: tuple[str, ...]
    others: pa.Schema
    partitions: tuple[Partition, ...]
    stamp: str


def open_catalogue(address: str, columns: str | None, delimiter: str | None, header: str) -> Catalogue:
    """Looks at every file of a catalogue, but not at its rows. Raises ScoringError."""
    source, root, files = find(address)
    form = _form(source, files, delimiter, header)
    with ThreadPoolExecutor(FOOTERS_AT_A_TIME) as pool:
        described = [*pool.map(partial(_describe, source, form), files)]
    schemas = [schema for schema, _ in described]
    for file, other in zip(files, schemas, strict=True):
        if other.names != schemas[0].names or (form.typed and other != schemas[0]):
            raise ScoringError(f"{file} has other columns than {files[0]}: score them one by one")
    schema = min(schemas, key=lambda each: each.types.count(pa.null()))  # a file of no rows tells no types
    features = choose(schema, columns)
    others = [field if form.typed else field.with_type(pa.string()) for field in schema if field.name not in features]
    partitions = tuple(partition for _, parts in described for partition in parts)
    return Catalogue(
        source, root, form, features, pa.schema(others), partitions, _stamp(str(source.info(file)) for file in files)
    )


def _form(source: AbstractFileSystem, files: list[str], delimiter: str | None, header: str) -> Form:
    forms = {_suffix(file) for file in files}
    if len({FORMS.get(suffix) for suffix in forms}) > 1:
        raise ScoringError(f"the files end in {', '.join(sorted(forms))}: they must be of one form")
    (form,) = {FORMS.get(suffix) for suffix in forms}
    if form == "CSV":
        with explained(f"{files[0]} cannot be read"):
            return csv_files(source, files[0], delimiter, header)
    if form is None:
        raise ScoringError(f"{files[0]} is of no form that is read: name it .parquet, .csv, .tsv, .txt or .npy")
    return ParquetFiles() if form == "Parquet" else NpyFiles()


def _suffix(file: str) -> str:
    path = PurePosixPath(file)
    return (path.with_suffix("") if infer_compression(file) else path).suffix.lower()


def _describe(source: AbstractFileSystem, form: Form, file: str) -> tuple[pa.Schema, list[Partition]]:
    with explained(f"{file} cannot be read"):
        return form.describe(source, file)


def _stamp(descriptions: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for description in descriptions:
        digest.update(description.encode())
    return digest.hexdigest()
