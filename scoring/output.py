"""The folder that the scored catalogue goes to: whole or not at all."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from pyarrow import csv as arrow_csv

from scoring.errors import ScoringError, explained
from scoring.files import locate
from scoring.predictions import MEASURE

SUCCESS = "_SUCCESS"
Write = Callable[[pa.Table], None]


class Outcome(TypedDict):
    """What became of a partition: its rows, those that were written and that were bad, and the first of the latter.

    That is the row's number, and what is wrong with it.
    """

    rows: int
    written: int
    bad: int
    first_bad: tuple[int, str] | None
    bad_rows: str
    bytes: int


@dataclass(frozen=True)
class Output:
    """A folder of one file for each partition, in the order of the input.

    Until it is whole, everything is in another folder beside it. In there, `parts/` has the files that are whole, each
    of which was written under another name first, since two workers may be at the same one when a link was cut;
    `outcomes/` says what became of each.
    """

    target: AbstractFileSystem
    path: str
    form: str

    @property
    def _partial(self) -> str:
        return f"{self.path}.partial"

    def begin(self, plan: str, *, resume: bool) -> None:
        """Makes the folders, or finds those of a run of the same plan. Raises ScoringError where that cannot be."""
        partial, noted = self._partial, f"{self._partial}/plan"
        under_way = self.target.exists(noted)
        is_local = isinstance(self.target, LocalFileSystem)
        begun = under_way and not is_local  # to be given its name, file by file
        if self.target.exists(f"{self.path}/{SUCCESS}") or (self.target.exists(self.path) and not begun):
            raise ScoringError(f"{self.path} is there already: name another folder, or remove it")
        if under_way and not resume:
            raise ScoringError(f"{partial} is of a run that did not end: go on with --resume, or remove it")
        if under_way and self.target.cat_file(noted).decode() != plan:
            raise ScoringError(f"{partial} is of another input, model or choice of columns: remove it, and start anew")
        for folder in ("", "/parts", "/writing", "/outcomes"):
            self._make_folder(partial + folder)
        self.target.pipe_file(noted, plan.encode())

    def whole(self, bad_rows: str) -> dict[int, Outcome]:
        """What became in a run before of each partition whose file is whole, and as it would be by this choice."""
        files = self.target.find(f"{self._partial}/outcomes")
        noted: dict[str, bytes] = self.target.cat(files) if files else {}
        sizes = {file: info["size"] for file, info in self.target.find(f"{self._partial}/parts", detail=True).items()}
        outcomes = {}
        for file, content in noted.items():
            index = int(PurePosixPath(file).stem)
            with suppress(ValueError, LookupError, TypeError):  # it was not written whole
                outcome: Outcome = json.loads(content)
                same = outcome["bad_rows"] == bad_rows or not outcome["bad"]
                if same and sizes[self._part(index)] == outcome["bytes"]:
                    outcomes[index] = outcome
        return outcomes

    @contextmanager
    def part(self, index: int, schema: pa.Schema) -> Iterator[Write]:
        """Gives what to write tables to; the file appears at the end, if nothing was raised."""
        temporary = f"{self._partial}/writing/{index}-{uuid.uuid4().hex}"
        try:
            with self.target.open(temporary, "wb") as file, self._writer(file, schema) as writer:
                yield writer.write_table
            self.target.mv(temporary, self._part(index))
        except BaseException:
            with suppress(OSError):
                self.target.rm_file(temporary)
            raise

    def note(self, index: int, outcome: Outcome) -> Outcome:
        """Keeps what became of a partition, whose file is whole."""
        outcome = {**outcome, "bytes": self.target.size(self._part(index))}
        self.target.pipe_file(self._outcome(index), json.dumps(outcome).encode())
        return outcome

    def finish(self) -> None:
        """Gives the whole folder its name."""
        parts = f"{self._partial}/parts"
        self.target.invalidate_cache()  # others have written there
        if isinstance(self.target, LocalFileSystem):  # at one stroke
            self.target.touch(f"{parts}/{SUCCESS}")
            Path(parts).rename(self.path)
        else:
            files = sorted(self.target.find(parts))
            self.target.copy(files, [f"{self.path}/{file.rpartition('/')[2]}" for file in files], on_error="raise")
            self.target.touch(f"{self.path}/{SUCCESS}")
        self.target.rm(self._partial, recursive=True)

    def _make_folder(self, folder: str) -> None:
        if isinstance(self.target, LocalFileSystem):
            self.target.makedirs(folder, exist_ok=True)
        else:
            with suppress(FileExistsError):  # no parents, which might be a new bucket
                self.target.mkdir(folder, create_parents=False)

    def _part(self, index: int) -> str:
        return f"{self._partial}/parts/part-{index:06d}.{self.form}"

    def _outcome(self, index: int) -> str:
        return f"{self._partial}/outcomes/{index}.json"

    def _writer(self, file: pa.NativeFile, schema: pa.Schema) -> pq.ParquetWriter | arrow_csv.CSVWriter:
        if self.form == "csv":
            return arrow_csv.CSVWriter(file, schema)
        repeating = [field.name for field in schema if field.type != MEASURE]
        return pq.ParquetWriter(file, schema, use_dictionary=repeating)


def open_output(address: str, form: str) -> Output:
    """The output at an address. Raises ScoringError."""
    with explained(f"{address} cannot be written"):
        target, path = locate(address)
    if "/" not in path.strip("/") and not isinstance(target, LocalFileSystem):
        raise ScoringError(f"{address} is all of a bucket: name a folder in it")
    return Output(target, path, form)
