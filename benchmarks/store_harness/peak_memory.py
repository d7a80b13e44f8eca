"""Peak memory of an operation, seen from outside a fresh process.

Anonymous memory counts (`RssAnon` and `RssShmem`): it belongs to the process and can only be
swapped.  Pages of mapped files do not: they are the page cache's, shared by all processes, and the
system takes them back without writing a byte.  `VmHWM`, which counts them once they are mapped, is
reported beside it.
"""

from __future__ import annotations

import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from store_harness.workload import Workload

_POLL = 0.001
MEASURED = ("load", "scan", "gather", "few batches", "write")


@dataclass(frozen=True)
class PeakMemory:
    """A line of results; all in bytes above what the process held just before the operation.

    Attributes
    ----------
    format, operation
        Who did what.
    anonymous
        Most anonymous memory.
    resident
        Most resident memory, mapped files included (`VmHWM`); None where it cannot be reset.
    values
        Size of what was asked for: the matrix, the rows gathered, one block or batch.
    """

    format: str
    operation: str
    anonymous: int
    resident: int | None
    values: int


def measure(name: str, operation: str, path: Path, source: Path, workload: Workload) -> PeakMemory:
    """Run one operation in a process of its own and watch it.

    Parameters
    ----------
    name, operation
        Contestant, and what it is to do.
    path
        Its files; for ``"write"``, an empty folder.
    source
        Bare values, for ``"write"``.
    workload
        What is asked of it.

    Raises
    ------
    RuntimeError
        If the process fails.
    """
    shape = [workload.rows, workload.dim, workload.dtype]
    asked = [workload.block_rows, workload.batch_rows, workload.n_batches]
    command = [sys.executable, "-m", "store_harness.child", name, operation, path, source]
    with subprocess.Popen(
        [str(part) for part in [*command, *shape, *asked]],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr
        if child.stdout.readline() != "ready\n":
            raise RuntimeError(child.stderr.read().strip().splitlines()[-1])
        before = _status(child.pid)
        resettable = _reset_high_water(child.pid)
        child.stdin.write("go\n")
        child.stdin.flush()
        peak = 0
        while not select.select([child.stdout], [], [], _POLL)[0]:
            peak = max(peak, _anonymous(_status(child.pid)))
        if child.stdout.readline() != "done\n":
            raise RuntimeError(child.stderr.read().strip().splitlines()[-1])
        after = _status(child.pid)
        child.stdin.write("end\n")
        child.stdin.flush()
        if child.wait():
            raise RuntimeError(child.stderr.read().strip().splitlines()[-1])
    sizes = {
        "scan": workload.block_rows,
        "gather": len(workload.gathered),
        "few batches": workload.batch_rows,
    }
    return PeakMemory(
        format=name,
        operation=operation,
        anonymous=max(peak, _anonymous(after)) - _anonymous(before),
        resident=after["VmHWM"] - before["VmRSS"] if resettable else None,
        values=sizes.get(operation, workload.rows) * workload.nbytes // workload.rows,
    )


def _status(process: int) -> dict[str, int]:
    """Memory figures of a process, in bytes."""
    figures = {}
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if value.endswith("kB"):
            figures[key] = int(value.split()[0]) * 1024
    return figures


def _anonymous(status: dict[str, int]) -> int:
    return status["RssAnon"] + status["RssShmem"]


def _reset_high_water(process: int) -> bool:
    try:
        Path(f"/proc/{process}/clear_refs").write_text("5")
    except OSError:
        return False
    return True
