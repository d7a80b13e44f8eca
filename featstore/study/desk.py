"""Desk: where cells are computed, one after the other, with what they share at hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from featstore.evaluate import evaluate
from featstore.fixed_threads import fixed_threads
from featstore.probe_setup import ProbeSetup
from featstore.shelf import Shelf
from featstore.store import FeatureStore
from featstore.study.cell import Cell
from featstore.study.outcome import CellOutcome


class Desk:
    """Computes cells; matrices and what was made of them stay for the next cell of the group.

    What stays decides nothing but the time: a run has the bits that it has alone.

    Parameters
    ----------
    threads
        To compute on.
    capacity
        Bytes for what stays; None for no ceiling.
    """

    def __init__(self, threads: int, capacity: int | None) -> None:
        self._threads, self._capacity = threads, capacity
        self._group: tuple[object, ...] | None = None
        self._shelf = Shelf(capacity)

    @classmethod
    def begin(cls, threads: int, capacity: int | None) -> Callable[[Cell], CellOutcome]:
        """Set a desk up where its worker is, and return what computes there."""
        return cls(threads, capacity).compute

    def compute(self, cell: Cell) -> CellOutcome:
        """Fit, evaluate and store; an error is an outcome like any other."""
        if cell.group != self._group:
            self._group, self._shelf = cell.group, Shelf(self._capacity)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                store = FeatureStore.open(cell.store)
                setup = ProbeSetup.of(store, cell.features, cell.arguments)
                with fixed_threads(self._threads):
                    run = evaluate(setup, shelf=self._shelf)
            except Exception as error:  # noqa: BLE001 - the other cells go on
                return CellOutcome.failed(error, _texts(caught))
        return CellOutcome(run.name, warnings=_texts(caught))


def _texts(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return warnings that are meant for people, each once."""
    meant = (UserWarning, RuntimeWarning)
    return tuple(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, meant)))
