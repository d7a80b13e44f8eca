"""Study: what to run, as one object or one TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.html_report import report
from featstore.html_report.embedding import MapMethod
from featstore.location import is_url
from featstore.scaling import ScalingKind
from featstore.store import FeatureStore
from featstore.study.failures import Failures
from featstore.study.grid import STORE_AXES, cells_of, check_protocol
from featstore.study.plan import StudyPlan
from featstore.study.runner import run_plan
from featstore.study.settings import check_value, checked_settings
from featstore.study.table import pivot, results
from featstore.suggest import did_you_mean
from featstore.tables.leaderboard import Uncertainty, leaderboard
from featstore.typeset import Table
from featstore.workers import Engine

if TYPE_CHECKING:
    from featstore.study.outcome import CellOutcome

_LISTS = (
    "fusions",
    "probes",
    "presets",
    "targets",
    "subsets",
    "scalings",
    "seeds",
    "cells",
    "excludes",
)
#: Keys of the file that are called otherwise, being tables of which there are several.
_TABLES = {"cell": "cells", "exclude": "excludes"}


@dataclass(frozen=True)
class Study(Displayed):
    """A grid of runs: every store x feature x probe x scaling x subset x seed x target.

    A cell of the grid is a run that `featstore.probe` would make, of the same name and the same
    bits; runs that the stores have already are not made again.

    Attributes
    ----------
    stores
        Paths or URLs; or tables with ``path`` and lists of the store's own in place of the
        study's: ``features``, ``fusions``, ``targets``, ``subsets``.
    features
        Names, or ``"all"``.
    fusions
        Lists of features to put side by side.
    probes
        Names; or tables of arguments of `featstore.probe`, with ``probe`` or ``preset``.
    presets
        Names of protocols.  Without probes and presets, ``logistic``.
    targets
        Label columns; the first by default.
    subsets
        Stored subsets to train on; ``"all"`` is the whole training split.
    scalings, seeds
        See `featstore.probe`.
    settings
        Arguments of `featstore.probe` for all cells.
    cells
        Single cells beside the grid: tables of ``features``, ``store``, ``subset`` and arguments.
    excludes
        Cells to leave out: those that have all values of one of these tables.
    threads
        That a cell is computed on.  Equal numbers give equal bits.
    folder
        That paths are relative to.
    failures
        File that keeps the failures of cells between calls; None to keep none.

    Raises
    ------
    InvalidInputError
        With the key, its value, and the nearest name there is.

    Examples
    --------
    >>> study = Study(["birds.zarr"], features=["resnet50"], probes=["logistic", "knn"])
    >>> study.variants()
    [{'probe': 'logistic'}, {'probe': 'knn'}]
    """

    stores: Sequence[str | Path | Mapping[str, Any]]
    features: Sequence[str] | Literal["all"] = "all"
    fusions: Sequence[Sequence[str]] = ()
    probes: Sequence[str | Mapping[str, Any]] = ()
    presets: Sequence[str] = ()
    targets: Sequence[str] = ()
    subsets: Sequence[str] = ()
    scalings: Sequence[ScalingKind] = ("none",)
    seeds: Sequence[int] = (0,)
    settings: Mapping[str, Any] = field(default_factory=dict)
    cells: Sequence[Mapping[str, Any]] = ()
    excludes: Sequence[Mapping[str, Any]] = ()
    threads: int = 1
    folder: Path = Path()
    failures: Path | None = None

    def __post_init__(self) -> None:
        for name in _LISTS:
            if not _is_list(getattr(self, name)):
                raise InvalidInputError(f"{name} = {getattr(self, name)!r}: a list is expected")
        if self.features != "all" and not _is_list(self.features):
            raise InvalidInputError(
                f'features = {self.features!r}: a list of names, or "all", is expected'
            )
        if not _is_list(self.stores) or not self.stores:
            raise InvalidInputError(f"stores = {self.stores!r}: a list of stores is expected")
        for i, scaling in enumerate(self.scalings):
            check_value(scaling, ScalingKind, f"scalings[{i}]")
        for i, seed in enumerate(self.seeds):
            check_value(seed, int, f"seeds[{i}]")
        check_value(self.threads, int, "threads")
        if self.threads < 1:
            raise InvalidInputError(f"threads = {self.threads}: at least 1 is needed")
        axes = ("probe", "preset", "target", "train_subset", "seed", "scaling")
        checked_settings(self.settings, "settings", but=axes)
        for i, entry in enumerate(self.probes):
            if not isinstance(entry, str):
                checked_settings(entry, f"probes[{i}]", but=("target", "train_subset"))
            check_protocol(_told(entry, "probe"), f"probes[{i}]")
        for i, entry in enumerate(self.presets):
            check_protocol(_told(entry, "preset"), f"presets[{i}]")
        for i, entry in enumerate(self.excludes):
            where = ("store", "features", "subset")
            checked_settings(entry, f"exclude[{i}]", but=("train_subset",), more=where)
        self.store_tables()

    @classmethod
    def from_toml(cls, path: str | Path) -> Study:
        """Read a study from a file; paths in it are relative to the file.

        Failures are kept beside it, in a file called like it that ends in ``.failures.json``.

        Raises
        ------
        InvalidInputError
            If the file is not TOML, or holds what no study has.
        """
        path = Path(path)
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InvalidInputError(
                f"there is no study at {path}; write one with `featstore study init {path}`"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
            raise InvalidInputError(f"{path} is not a TOML file: {error}") from None
        own = ("folder", "failures", *_TABLES.values())
        known = [f.name for f in dataclasses.fields(cls) if f.name not in own] + list(_TABLES)
        for key, value in document.items():
            if key not in known:
                raise InvalidInputError(
                    f"{path}: {key} = {value!r}: a study has no such key. "
                    f"{did_you_mean(key, known)}"
                )
        if "stores" not in document:
            raise InvalidInputError(f"{path}: stores is missing: a list of paths")
        fields = {_TABLES.get(key, key): value for key, value in document.items()}
        failures = path.with_suffix(".failures.json")
        try:
            return cls(**fields, folder=path.parent, failures=failures)
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}") from None

    def located(self, store: str | Path) -> str:
        """Return a store's location, relative paths seen from the study's folder."""
        return str(store) if is_url(store) else str((self.folder / store).absolute())

    def store_tables(self) -> list[dict[str, Any]]:
        """Return the stores as tables, ``path`` being where they are."""
        tables = []
        for i, entry in enumerate(self.stores):
            table = dict(entry) if isinstance(entry, Mapping) else {"path": entry}
            for key, value in table.items():
                if key not in ("path", *STORE_AXES):
                    raise InvalidInputError(
                        f"stores[{i}].{key} = {value!r}: a store has no such key. "
                        f"{did_you_mean(key, ['path', *STORE_AXES])}"
                    )
            if not isinstance(table.get("path"), str | Path):
                raise InvalidInputError(f"stores[{i}] = {entry!r}: a path is expected")
            tables.append({**table, "path": self.located(table["path"])})
        return tables

    def variants(self) -> list[dict[str, Any]]:
        """Return the probes and presets as arguments of `featstore.probe`."""
        found = [_told(entry, "probe") for entry in self.probes]
        found += [_told(entry, "preset") for entry in self.presets]
        return found or [{"probe": "logistic"}]

    def plan(self) -> StudyPlan:
        """Multiply out, and see which cells the stores have already; nothing is computed.

        Raises
        ------
        StoreNotFoundError
            If there is no such store.
        InvalidInputError
            If a name is not known, or two cells would make runs of one name.
        """
        opened = {table["path"]: FeatureStore.open(table["path"]) for table in self.store_tables()}
        return StudyPlan.of(cells_of(self, opened), opened, Failures.read(self.failures))

    def run(
        self,
        *,
        engine: Engine = "inline",
        workers: int | None = None,
        memory: int | str | None = None,
        retry: bool = True,
        progress: bool | None = False,
    ) -> StudyPlan:
        """Run what is missing.

        Parameters
        ----------
        engine
            ``"inline"``: in this process.  ``"processes"``: in several on this machine, which a
            script must then start under ``if __name__ == "__main__":``.  ``"ray"``: on a Ray
            cluster.  All give the same bits.
        workers
            How many; by default as many as there are cores for `threads`.
        memory
            Bytes, or e.g. ``"16GB"``, for the matrices of all workers together; by default half of
            what the machine has.
        retry
            Whether cells that failed before are tried again.
        progress
            Show a progress bar; None shows it on a terminal.

        Returns
        -------
        plan
            As it stands afterwards.  Cells that failed say why; they stop no other.
        """
        plan, failures = self.plan(), Failures.read(self.failures)

        def note(key: str, request: str, outcome: CellOutcome) -> None:
            failures.note(key, request, outcome)

        run_plan(
            plan,
            note,
            engine=engine,
            workers=workers,
            threads=self.threads,
            memory=memory,
            retry=retry,
            progress=progress,
        )
        return StudyPlan.of([planned.cell for planned in plan.cells], plan.reopened(), failures)

    def status(self) -> pd.DataFrame:
        """Return one row per cell: what it is, its state, its run or its error."""
        return self.plan().frame

    def results(self) -> pd.DataFrame:
        """Return one row per metric of every run that is there: value, low, high, n."""
        return results(self.plan())

    def table(self, *, metric: str | None = None) -> pd.DataFrame:
        """Return features against probes: means over seeds, long; see `featstore.study.table`."""
        return pivot(self.results(), metric=metric)

    def paper_table(self, *, metric: str | None = None, uncertainty: Uncertainty = "rows") -> Table:
        """Return features against probes for a paper; see `featstore.tables.leaderboard`.

        Parameters
        ----------
        metric
            ``top1``, or ``mAP`` for targets that have no top-1, by default.
        uncertainty
            ``"rows"``: intervals over test rows; ``"seeds"``: ± the standard deviation over seeds.

        Raises
        ------
        InvalidInputError
            If there is no run yet, or no run has the metric.
        """
        found = self.results()
        if found.empty:
            raise InvalidInputError("no cell of the study has a run yet; run it first")
        names = {place: PurePosixPath(place.rstrip("/")).stem for place in set(found["store"])}
        if len(set(names.values())) == len(names):
            found = found.assign(store=found["store"].map(names))
        return leaderboard(found, metric=metric, order="given", uncertainty=uncertainty)

    def report(
        self,
        out: str | Path,
        *,
        results: Sequence[str | Path] = (),
        images: str | Path | None = None,
        show_map: bool | Sequence[str] = False,
        map_method: MapMethod = "tsne",
        title: str | None = None,
    ) -> list[Path]:
        """Write a page about the study's runs; of several stores, one each into a folder.

        Parameters
        ----------
        out
            The file; a folder where the study has several stores.
        results, images, show_map, map_method, title
            Of every page, see `featstore.report`.

        Raises
        ------
        InvalidInputError
            If there is no run yet.
        """
        plan, out = self.plan(), Path(out)

        def page_of(location: str, place: Path) -> Path:
            return report(
                plan.stores[location],
                place,
                runs=runs[location],
                results=results,
                images=images,
                show_map=show_map,
                map_method=map_method,
                title=title,
            )

        runs = {
            location: list(
                dict.fromkeys(p.run for p in plan.cells if p.cell.store == location and p.run)
            )
            for location in plan.stores
        }
        runs = {location: names for location, names in runs.items() if names}
        if not runs:
            raise InvalidInputError("no cell of the study has a run yet; run it first")
        if len(plan.stores) == 1:
            (location,) = runs
            return [page_of(location, out)]
        out.mkdir(parents=True, exist_ok=True)
        return [
            page_of(location, out / f"{i}-{Path(plan.stores[location].folder.name).stem}.html")
            for i, location in enumerate(runs, 1)
        ]


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _told(entry: Any, what: str) -> dict[str, Any]:
    return dict(entry) if isinstance(entry, Mapping) else {what: entry}
