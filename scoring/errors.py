"""What goes wrong in ways that the user can mend."""

import csv
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

# What a file that is not as it should be, or cannot be reached, may raise in those who read or write it.
UNREADABLE = (ImportError, OSError, ValueError, EOFError, csv.Error, zlib.error, pa.ArrowException)


class ScoringError(Exception):
    """Something that keeps a catalogue from being scored. The message is one sentence that says what to mend."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns any of UNREADABLE into a ScoringError that says what cannot be done, and why."""
    try:
        yield
    except UNREADABLE as error:
        raise ScoringError(f"{what}: {error}") from error
