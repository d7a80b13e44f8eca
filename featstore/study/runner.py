"""Running a plan: workers of an engine, a share of the cores and the memory for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial

from featstore.ceiling import parse_bytes
from featstore.cores import available_cores
from featstore.progress import progress_bar
from featstore.study.cell import Cell
from featstore.study.desk import Desk
from featstore.study.outcome import CellOutcome
from featstore.study.plan import StudyPlan
from featstore.study.schedule import Schedule, compute
from featstore.workers import (
    Engine,
    InlineWorker,
    ProcessWorker,
    Worker,
    check_engine,
    connect,
    ray_workers,
)


def run_plan(
    plan: StudyPlan,
    note: Callable[[str, str, CellOutcome], None],
    *,
    engine: Engine,
    workers: int | None,
    threads: int,
    memory: int | str | None,
    retry: bool,
    progress: bool | None,
) -> None:
    """Compute the missing cells of a plan.

    Parameters
    ----------
    plan
        The cells.
    note
        Called with a cell's key, request and outcome as it comes.
    engine, workers, threads, memory, retry, progress
        As for `featstore.study.Study.run`.

    Raises
    ------
    InvalidInputError
        If there is no such engine, or no worker.
    MissingDependencyError
        If the engine is not installed.
    """
    check_engine(engine, workers, what="a study")
    for planned in plan.cells:
        if planned.refused:
            note(
                planned.cell.key,
                planned.request,
                CellOutcome(None, planned.error, planned.message),
            )
    missing = plan.missing(retry=retry)
    if not missing:
        return
    ceiling = _half_of_memory() if memory is None else parse_bytes(memory)
    cores = connect() if engine == "ray" else available_cores()
    count = 1 if engine == "inline" else workers or max(cores // threads, 1)
    count = min(count, len(missing))
    capacity = None if ceiling is None else ceiling // count
    begin = partial(Desk.begin, threads, capacity)
    made: Sequence[Worker[Cell, CellOutcome]]
    if engine == "ray":
        gpu = any(planned.cell.arguments.device == "cuda" for planned in missing)
        made = ray_workers(count, begin, cpus=threads, gpus=int(gpu))
    elif engine == "processes":
        made = [ProcessWorker(begin) for _ in range(count)]
    else:
        made = [InlineWorker(begin)]
    # On a cluster every machine has memory of its own, and Ray decides what goes where.
    schedule = Schedule(missing, memory=None if engine == "ray" else ceiling)
    with progress_bar("study", len(missing), unit="cells", shown=progress) as advance:
        for planned, outcome in compute(schedule, made):
            note(planned.cell.key, planned.request, outcome)
            advance(1)


def _half_of_memory() -> int | None:
    """Half of the machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return None
