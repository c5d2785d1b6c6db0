"""What every request finds in its state, and what it leaves there."""

from collections.abc import Mapping, Sized
from typing import NotRequired, TypedDict

from models.bundle import ModelBundle
from models.pieces import PiecePredictor
from service.access import Keys
from service.admission import Admission
from service.draining import Drain
from service.ledger import Ledger
from service.metrics import Metrics
from service.settings import Settings


class State(TypedDict):
    """The parts of the service; then, of one request, what it leaves there.

    That is when it began, if the door saw it begin; its id, its rows, what they were predicted to be, and columns; and
    of its connection the requests that wait behind it.
    `predicted` has the number of rows by genre, as text, or by network and side.
    """

    settings: Settings
    bundle: ModelBundle
    pieces: PiecePredictor
    keys: Keys
    admission: Admission
    metrics: Metrics
    ledger: Ledger
    drain: Drain

    started: NotRequired[float]
    pipeline: NotRequired[Sized]
    request_id: NotRequired[str]
    rows: NotRequired[int]
    predicted: NotRequired[Mapping[tuple[str, ...], int]]
    ignored_columns: NotRequired[tuple[int, ...]]
