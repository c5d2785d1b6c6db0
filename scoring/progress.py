"""How far it is: a bar on a terminal, and nothing elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.text import Text


class Progress:
    """A bar of the shares of a whole, with the rows done and their number a second."""

    def __init__(self, whole: int) -> None:
        columns = (BarColumn(20), TaskProgressColumn(), _Rows(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._bar = Bar(*columns, console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=max(whole, 1), rows=0)
        self._rows = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def advance(self, share: int, rows: int) -> None:
        """Adds a share of the whole, and the rows that were in it."""
        self._rows += rows
        self._bar.update(self._task, advance=share, rows=self._rows)


class _Rows(ProgressColumn):
    def render(self, task: Task) -> Text:
        """The rows, and those a second."""
        rows, seconds = task.fields["rows"], task.elapsed
        rate = f", {rows / seconds:,.0f}/s" if rows and seconds else ""
        return Text(f"{rows:,} rows{rate}")
