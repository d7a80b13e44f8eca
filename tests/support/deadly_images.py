"""Images that note who decodes them, and one of which kills its process; for workers to import."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_images import TinyImages


@dataclass(frozen=True)
class DeadlyImages:
    """`TinyImages` whose row `deadly` kills the process that reads it, the first `times` times.

    Every image that is read is a line of the file ``decoded`` in `folder`, with the process, and
    takes `delay_s`.
    """

    n: int
    folder: Path
    deadly: int = -1
    times: int = 0
    delay_s: float = 0.0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(TinyImages(self.n), name)

    def image(self, row: int) -> bytes:
        with (self.folder / "decoded").open("ab") as log:
            log.write(f"{row} {os.getpid()}\n".encode())
        time.sleep(self.delay_s)
        if row == self.deadly and len(list(self.folder.glob("death-*"))) < self.times:
            (self.folder / f"death-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return TinyImages(self.n).image(row)

    def decoded(self) -> Counter[int]:
        """How many times each row was read."""
        return Counter(row for row, _ in self._lines())

    def readers(self) -> Counter[int]:
        """How many rows each process has read."""
        return Counter(process for _, process in self._lines())

    def _lines(self) -> list[tuple[int, int]]:
        log = self.folder / "decoded"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(int(row), int(process)) for row, process in (line.split() for line in lines)]
