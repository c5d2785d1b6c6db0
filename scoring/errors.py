"""What goes wrong in ways that the user can mend."""

import csv
import zlib

import pyarrow as pa

# What reading a file that is not as it should be may raise.
UNREADABLE = (OSError, ValueError, EOFError, csv.Error, zlib.error, pa.ArrowException)


class ScoringError(Exception):
    """Something that keeps a catalogue from being scored. The message is one sentence that says what to mend."""
