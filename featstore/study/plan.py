"""StudyPlan: the cells of a study, and what became of them so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from featstore.displayed import Displayed
from featstore.errors import FeatstoreError, InvalidInputError
from featstore.probe_setup import ProbeSetup
from featstore.store import FeatureStore
from featstore.stored_requests import stored_requests
from featstore.study.cell import Cell
from featstore.study.failures import Failures

#: Whether a run is there, is to be made, or could not be made.
State = Literal["done", "pending", "failed"]

_WORKING_BYTES = 8  # of a number in a solver's copy, at most
_LOGITS = 2  # copies of them


@dataclass(frozen=True)
class PlannedCell:
    """A cell, and what is known of it.

    Attributes
    ----------
    cell
        What is to be run.
    request
        Digest of all that decides its result, see `featstore.probe_setup.ProbeSetup.digest`; empty
        where the store refuses it.
    run
        The stored run that answers it; None without one.
    error, message
        Why there is none; empty if it was not tried, or is to be tried again.
    refused
        Whether the error came up before anything was computed.
    need
        Bytes that it takes, roughly.
    """

    cell: Cell
    request: str
    run: str | None
    error: str = ""
    message: str = ""
    refused: bool = False
    need: int = 0

    @property
    def state(self) -> State:
        """Where it stands."""
        return "done" if self.run else "failed" if self.error else "pending"


@dataclass(frozen=True, eq=False, repr=False)
class StudyPlan(Displayed):
    """The cells of a study.

    Attributes
    ----------
    cells
        In the order of the study's lists.
    stores
        Open, by location.
    """

    cells: tuple[PlannedCell, ...]
    stores: Mapping[str, FeatureStore]

    @classmethod
    def of(
        cls, cells: Sequence[Cell], stores: Mapping[str, FeatureStore], failures: Failures
    ) -> StudyPlan:
        """Look up which cells have a run, and which have failed.

        Parameters
        ----------
        cells
            Of the study.
        stores
            Open, by location.
        failures
            Of earlier runs of the study.

        Raises
        ------
        InvalidInputError
            If two cells would make runs of one name.
        """
        known = {location: stored_requests(store) for location, store in stores.items()}
        planned: list[PlannedCell] = []
        named: dict[tuple[str, tuple[object, ...]], tuple[str, Cell]] = {}
        for cell in cells:
            try:
                setup = ProbeSetup.of(stores[cell.store], cell.features, cell.arguments)
                setup.estimator()  # which refuses arguments that do not go with the probe
            except FeatstoreError as error:
                told = (type(error).__name__, str(error))
                planned.append(PlannedCell(cell, "", None, *told, refused=True))
                continue
            request = setup.digest
            twin = named.setdefault((cell.store, _name_key(setup)), (request, cell))
            if twin[0] != request:
                raise InvalidInputError(
                    f"two cells would make runs of one name: {' + '.join(cell.features)}, "
                    f"{cell.label}, and {twin[1].label}; engine, device, max_memory, n_boot and "
                    "thresholds are not in a name: give both the same, or make two studies on "
                    "copies of the store"
                )
            run = known[cell.store].get(request)
            found = None if run else failures.of(cell.key, request)
            planned.append(PlannedCell(cell, request, run, *found or ("", ""), need=_need(setup)))
        return cls(tuple(planned), stores)

    @property
    def counts(self) -> Counter[State]:
        """How many cells are in each state."""
        return Counter(planned.state for planned in self.cells)

    @property
    def frame(self) -> pd.DataFrame:
        """One row per cell: what it is, its state, and its run or error.

        Columns store, features, probe, target, scaling, subset, seed, state, run, error, message
        and request.
        """
        return pd.DataFrame(
            [
                {
                    **planned.cell.row(),
                    "state": planned.state,
                    "run": planned.run,
                    "error": planned.error,
                    "message": planned.message,
                    "request": planned.request,
                }
                for planned in self.cells
            ]
        )

    def missing(self, *, retry: bool) -> list[PlannedCell]:
        """Cells to compute: those without a run, and with `retry` those that failed."""
        return [
            planned
            for planned in self.cells
            if planned.state == "pending"
            or (planned.state == "failed" and retry and not planned.refused)
        ]

    def reopened(self) -> dict[str, FeatureStore]:
        """Open the stores anew, by location."""
        return {location: FeatureStore.open(location) for location in self.stores}


def _name_key(setup: ProbeSetup) -> tuple[object, ...]:
    """Return what decides the name of a run, as far as it is known before the fit."""
    arguments, parts = setup.arguments, setup.parts
    return (
        setup.features,
        setup.target,
        setup.protocol.name,
        setup.protocol.values,
        setup.plan,
        arguments.scaling,
        arguments.groups,
        arguments.train_subset,
        (parts.train_name, parts.val_name, parts.test_name),
    )


def _need(setup: ProbeSetup) -> int:
    """Estimate the bytes of the matrices, a solver's copy and its logits."""
    train, test = setup.parts.refit.view, setup.parts.test.view
    n, d = train.shape
    stored = 2 * (n + test.shape[0]) * d * train.dtype.itemsize  # while a value is chosen, and then
    return stored + _WORKING_BYTES * n * (d + _LOGITS * len(setup.labels.classes))
