"""What was answered is counted and logged together, once the replies are out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

SETTLING_SECONDS = 0.002  # far less than a person or Prometheus notices, and time for a hundred requests


class Answered(NamedTuple):
    """A request that has been answered: its path as it came, the path of its route, and what its state holds."""

    method: str
    path: bytes
    route: str
    status: int
    seconds: float
    state: Mapping[str, Any]


class Ledger:
    """Takes down what is answered and books it a little later, all of it at once: no reply waits for that."""

    def __init__(self, *books: Callable[[Sequence[Answered]], None]) -> None:
        self._books = books
        self._answered: list[Answered] = []

    def enter(self, answered: Answered) -> None:
        """Takes down one request."""
        if not self._answered:
            asyncio.get_running_loop().call_later(SETTLING_SECONDS, self.settle)
        self._answered.append(answered)

    def settle(self) -> None:
        """Books what was taken down."""
        answered, self._answered = self._answered, []
        if answered:
            for book in self._books:
                book(answered)
