"""Progress on the terminal: rate and time left; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(
    label: str, total: int, *, unit: str, shown: bool | None = None
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; the block calls what it gets with a step.

    Parameters
    ----------
    label, total, unit
        What is done, how many, of what.
    shown
        None shows the bar only on a terminal.
    """
    if shown is None:
        shown = sys.stderr.isatty()
    if not shown or total == 0:
        yield lambda step: None
        return

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} {unit}/s" if task.speed else f"– {unit}/s")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)
        yield lambda step: bar.advance(task, step)
