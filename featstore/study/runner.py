"""Running a plan: workers of an engine, a share of the cores and the memory for each."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, get_args

from featstore.ceiling import parse_bytes
from featstore.cores import available_cores
from featstore.errors import InvalidInputError
from featstore.progress import progress_bar
from featstore.study.inline import InlineWorker
from featstore.study.outcome import CellOutcome
from featstore.study.plan import StudyPlan
from featstore.study.process import ProcessWorker
from featstore.study.ray_cluster import RayWorker, connect
from featstore.study.schedule import Schedule, Worker, compute
from featstore.suggest import did_you_mean

#: Where cells are computed.
Engine = Literal["inline", "processes", "ray"]


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
    if engine not in get_args(Engine):
        known = did_you_mean(engine, get_args(Engine))
        raise InvalidInputError(f"there is no engine {engine!r} for studies. {known}")
    if workers is not None and workers < 1:
        raise InvalidInputError(f"a study needs at least one worker, got {workers}")
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
    made: list[Worker] = []
    for _ in range(count):
        if engine == "ray":
            gpu = any(planned.cell.arguments.device == "cuda" for planned in missing)
            made.append(RayWorker(threads, capacity, gpu=gpu))
        else:
            kind = ProcessWorker if engine == "processes" else InlineWorker
            made.append(kind(threads, capacity))
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
