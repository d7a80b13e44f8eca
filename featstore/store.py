"""FeatureStore: one data set on disk — its samples, features, subsets, runs and taxonomies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featstore._version import __version__
from featstore.ceiling import parse_bytes
from featstore.commits import encode_json
from featstore.displayed import Displayed
from featstore.errors import (
    CorruptStoreError,
    FeatstoreError,
    FeatureNotFoundError,
    InvalidInputError,
    NotAStoreError,
    NotSealedError,
    StorageError,
    StoreNotFoundError,
)
from featstore.feature import FeatureInfo
from featstore.folder import Folder
from featstore.fused_view import FusedView
from featstore.location import open_folder
from featstore.samples import Samples, Target
from featstore.scratch_store import scratch_store
from featstore.spec import FeatureSpec
from featstore.suggest import did_you_mean
from featstore.sums import SUMS
from featstore.view import FeatureView, View
from featstore.writer import FeatureWriter

if TYPE_CHECKING:
    from featstore.decisions import Outcomes
    from featstore.run import ProbeRun
    from featstore.subset import Subset
    from featstore.taxonomy import Taxonomy

FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")

Loaded = TypeVar("Loaded")


class FeatureStore(Displayed):
    """One data set on disk: rows are samples, columns are feature blocks.

    Use `FeatureStore.open` or `FeatureStore.create`.

    Attributes
    ----------
    folder
        Where it is: a plain Zarr v3 group, on a disk or in a bucket.
    attributes
        Format version, source of the data, version of featstore that created it.
    """

    def __init__(self, folder: Folder, attributes: Mapping[str, Any]) -> None:
        self.folder = folder
        self.attributes = attributes

    @property
    def location(self) -> str:
        """Path or URL, as text."""
        return str(self.folder)

    @property
    def path(self) -> Path:
        """Path of a store on this machine.

        Raises
        ------
        InvalidInputError
            If the store is somewhere else.
        """
        if self.folder.local is None:
            raise InvalidInputError(f"{self.location} is not a folder on this machine")
        return self.folder.local

    @classmethod
    def open(cls, location: str | Path, **options: Any) -> FeatureStore:
        """Open a store for reading and writing.

        Parameters
        ----------
        location
            A path, or a URL: ``s3://``, ``gs://``, ``az://``, ``http(s)://``, ``file://``.
        options
            For object storage; see `featstore.folder.open_folder`.

        Raises
        ------
        StoreNotFoundError
            If nothing is there.
        NotAStoreError
            If something else is there, or a store of a newer format.
        """
        folder = open_folder(location, **options)
        try:
            metadata = json.loads(folder.read("zarr.json"))
            attributes = metadata["attributes"]["featstore"]
            version = attributes["format"]
        except FileNotFoundError:
            if folder.local is not None and folder.local.exists():
                raise _no_store(folder) from None
            raise StoreNotFoundError(
                f"no store at {folder}; create one with `featstore extract IMAGES --out {folder}`"
            ) from None
        except (NotADirectoryError, ValueError, KeyError, TypeError):
            raise _no_store(folder) from None
        if version > FORMAT_VERSION:
            raise NotAStoreError(
                f"{folder} has format {version}, this featstore {__version__} reads up to "
                f"{FORMAT_VERSION}; upgrade featstore"
            )
        return cls(folder, attributes)

    @classmethod
    def create(
        cls,
        location: str | Path,
        samples: Samples,
        *,
        source: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> FeatureStore:
        """Create a store that holds samples and no features yet.

        The store appears under its name complete or not at all.

        Raises
        ------
        NotAStoreError
            If something exists at `location`.
        StorageError
            If the disk or the service refuses.
        """
        import zarr

        place = open_folder(location, **options)
        if not place.is_free():
            raise NotAStoreError(f"cannot create a store at {place}: something else is there")
        attributes: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "created_by": f"featstore {__version__}",
            "checksums": SUMS,
            "source": dict(source or {}),
        }
        try:
            with place.filled() as scratch:
                group = zarr.create_group(scratch_store(scratch), zarr_format=3)
                samples.write(group.create_group("samples"))
                for name in ("features", "subsets", "runs", "taxonomies"):
                    group.create_group(name)
                group.attrs["featstore"] = attributes
        except StorageError as error:
            is_taken = place.local is None or isinstance(error.__cause__, FileExistsError)
            if is_taken and place.size("zarr.json") is not None:
                raise NotAStoreError(
                    f"another process has just created {place}; run the same command again to add "
                    "to it"
                ) from None
            raise
        return cls(place, attributes)

    @cached_property
    def samples(self) -> Samples:
        """The row table."""
        import zarr

        return Samples.read(zarr.open_group(self.folder.child("samples").zarr(), mode="r"))

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        metadata = json.loads(self.folder.read("samples/zarr.json"))
        return int(metadata["attributes"]["n_samples"])

    def __repr__(self) -> str:
        try:
            features = f", features: {self.features}"
        except StorageError:  # a web server cannot be listed
            features = ""
        return f"<FeatureStore {self.location} {self.n_samples} samples{features}>"

    # Features

    @property
    def features(self) -> list[str]:
        """Names of all features, sealed or not."""
        return self._members("features")

    def feature(self, name: str) -> FeatureInfo:
        """Describe a feature.

        Raises
        ------
        FeatureNotFoundError
            If there is none of this name.
        """
        folder = self._member("features", name, "feature")
        try:
            return FeatureInfo.read(folder, self.n_samples)
        except (FileNotFoundError, CorruptStoreError):
            self._member("features", name, "feature")  # it may just have been removed
            raise

    def feature_folder(self, name: str) -> Folder:
        """Folder of a feature, whether it exists or not."""
        return self.folder.child(f"features/{checked_name(name)}")

    def writer(self, name: str, spec: FeatureSpec) -> FeatureWriter:
        """Start or resume writing a feature; see `FeatureWriter`."""
        return FeatureWriter(self.feature_folder(name), spec, self.n_samples)

    def delete_feature(self, name: str) -> None:
        """Remove a feature and free its space."""
        self._member("features", name, "feature").remove()

    def view(
        self,
        features: str | Sequence[str],
        *,
        split: str | None = None,
        rows: NDArray[np.intp] | None = None,
        max_memory: int | str | None = None,
    ) -> View:
        """Look at one feature, or at several side by side.

        Parameters
        ----------
        features
            A name, or several to fuse in this order.
        split
            Show the samples of this split only.
        rows
            Show these rows of the store, in this order, instead of a split.
        max_memory
            What one call may hold of the values, e.g. ``"2GB"``: larger results are refused, and
            batches are made to fit.

        Returns
        -------
        view
            Without the rows whose image could not be read at extraction.

        Raises
        ------
        FeatureNotFoundError
            If a feature or the split does not exist.
        NotSealedError
            If a feature's extraction is not finished.
        InvalidInputError
            If `rows` are not rows of the store, or a feature is named twice.
        """
        names = [features] if isinstance(features, str) else list(features)
        if not names or len(set(names)) < len(names):
            raise InvalidInputError(f"name at least one feature, each once; got {names}")
        rows = self.rows(split) if rows is None else self._checked_rows(rows)
        infos = [self._sealed(name) for name in names]
        excluded = sorted({row for info in infos for row in info.excluded})
        rows = rows[~np.isin(rows, excluded)]
        ceiling = None if max_memory is None else parse_bytes(max_memory)
        ids = self.samples.ids
        blocks = [
            FeatureView(info.name, info.spec, info.rows, ids, rows, max_memory=ceiling)
            for info in infos
        ]
        return blocks[0] if len(blocks) == 1 else FusedView(blocks)

    def _checked_rows(self, rows: NDArray[Any]) -> NDArray[np.intp]:
        given = np.asarray(rows)
        if given.dtype == bool and given.shape == (self.n_samples,):
            return np.flatnonzero(given)
        if given.ndim != 1 or not (np.issubdtype(given.dtype, np.integer) or given.size == 0):
            raise InvalidInputError(
                f"rows must be row numbers, or a mask of {self.n_samples}; got {given.dtype} of "
                f"shape {given.shape}"
            )
        outside = given[(given < 0) | (given >= self.n_samples)]
        if len(outside):
            raise InvalidInputError(
                f"{len(outside)} of {len(given)} rows are not rows of the store, which has "
                f"{self.n_samples}: e.g. {outside[0]}"
            )
        return given.astype(np.intp)

    def rows(self, split: str | None = None) -> NDArray[np.intp]:
        """Return the rows of a split (all for None), ascending, shape (n,)."""
        if split is None:
            return np.arange(self.n_samples)
        known = self.samples.split_names
        if split not in known:
            raise FeatureNotFoundError(
                f"{self.location} has no split {split!r}. {did_you_mean(split, known)}"
            )
        return np.flatnonzero(self.samples.splits == split)

    def target(self, name: str | None = None) -> tuple[str, Target]:
        """Return a target by name; without one, the only target or the first."""
        targets = self.samples.targets
        if not targets:
            raise FeatureNotFoundError(
                f"{self.location} has no targets: it was extracted without labels, so there is "
                "nothing to probe"
            )
        if name is None:
            name = next(iter(targets))
        if name not in targets:
            raise FeatureNotFoundError(
                f"{self.location} has no target {name!r}. {did_you_mean(name, targets)}"
            )
        return name, targets[name]

    def _sealed(self, name: str) -> FeatureInfo:
        info = self.feature(name)
        if not info.sealed:
            raise NotSealedError(
                f"feature {name!r} is not finished: {info.committed_rows} of {info.layout.rows} "
                "rows are committed; run the same `featstore extract` again to complete it"
            )
        if info.spec.samples_digest != self.samples.digest:
            raise CorruptStoreError(
                f"feature {name!r} was computed for other rows than {self.location} has; remove it "
                f"(featstore rm {self.location} {name}) and extract it again"
            )
        return info

    # Subsets, runs and taxonomies

    @property
    def subsets(self) -> list[str]:
        """Names of the stored subsets."""
        return self._members("subsets")

    def subset(self, name: str) -> Subset:
        """Load a stored subset.

        Raises
        ------
        FeatureNotFoundError
            If there is none of this name.
        CorruptStoreError
            If its rows are not rows of the store.
        """
        from featstore.stored_subset import load_subset

        try:
            return load_subset(self._member("subsets", name, "subset").zarr(), self.samples)
        except (KeyError, TypeError, ValueError, CorruptStoreError) as error:
            if isinstance(error, FeatstoreError):
                error.add_note(f"in subset {name!r} of {self.location}")
                raise
            raise CorruptStoreError(
                f"subset {name!r} is damaged; remove it with "
                f"`featstore rm {self.location} {name} --subset` and draw it again"
            ) from error

    def delete_subset(self, name: str) -> None:
        """Remove a subset."""
        self._member("subsets", name, "subset").remove()

    def save_subset(self, name: str, subset: Subset) -> None:
        """Store a subset under a name that is free.

        Raises
        ------
        InvalidInputError
            If the name is taken: subsets stay what they are.
        """
        from featstore.stored_subset import save_subset

        folder = self.folder.child(f"subsets/{checked_name(name)}")
        if folder.size("zarr.json") is not None:
            raise InvalidInputError(
                f"{self.location} has a subset {name!r}, and subsets stay what they are; choose "
                "another name"
            )
        with folder.filled() as scratch:
            save_subset(scratch, subset, self.samples)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was computed yet: no row of any feature, and no run."""
        return not self.runs and not any(self.feature(f).committed_rows for f in self.features)

    @property
    def runs(self) -> list[str]:
        """Names of the stored runs."""
        return self._members("runs")

    def run(self, name: str) -> ProbeRun:
        """Load a stored run.

        Generated names end in a digest: what comes before it will do where one run has it.

        Raises
        ------
        FeatureNotFoundError
            If there is no such run, or several begin like this.
        """
        from featstore.run import ProbeRun

        return self._load_run(name, ProbeRun.load)

    def outcomes(self, name: str) -> Outcomes:
        """Load what a stored run said: decisions, or the scores of a multi-label run.

        Most analyses of single-label runs need no more, and it takes a thousandth of the memory.
        """
        from featstore.stored_outcomes import load_outcomes

        return self._load_run(name, load_outcomes)

    def _load_run(self, name: str, load: Callable[[Any], Loaded]) -> Loaded:
        try:
            return load(self._run_folder(name).zarr())
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FeatstoreError):
                raise
            raise CorruptStoreError(
                f"run {name!r} is damaged or of another version of featstore; remove it with "
                f"`featstore rm {self.location} {name}` and probe again"
            ) from error

    def _run_folder(self, name: str) -> Folder:
        try:
            return self._member("runs", name, "run")
        except FeatureNotFoundError:
            longer = [run for run in self._members("runs") if run.startswith(f"{name}-")]
            if not longer:
                raise
        if len(longer) > 1:
            raise FeatureNotFoundError(
                f"{self.location} has {len(longer)} runs {name!r}: {', '.join(longer)}; "
                "name one of them"
            )
        return self._member("runs", longer[0], "run")

    def delete_run(self, name: str) -> None:
        """Remove a run."""
        self._member("runs", name, "run").remove()

    def check_runs_can_be_saved(self) -> None:
        """Refuse a folder of this machine without the right to write, before work is done for it.

        Raises
        ------
        StorageError
            If a run could not be stored.
        """
        local = self.folder.local
        if local is None:
            return
        runs = local / "runs"
        if not os.access(runs if runs.is_dir() else local, os.W_OK):
            raise StorageError(
                f"{self.location} cannot be written to, so no run can be kept in it; probe without "
                "keeping the run (save=False, --no-save), or copy the store to where you may write"
            )

    def save_run(self, run: ProbeRun) -> None:
        """Store a run under its name; an older one of the same name is replaced."""
        folder = self.folder.child(f"runs/{checked_name(run.name)}")
        with folder.filled(replace=True) as scratch:
            run.save(scratch)

    @property
    def taxonomies(self) -> list[str]:
        """Names of the stored taxonomies."""
        return self._members("taxonomies")

    def taxonomy(self, name: str) -> Taxonomy:
        """Load a stored taxonomy."""
        from featstore.taxonomy import Taxonomy

        metadata = json.loads(self._member("taxonomies", name, "taxonomy").read("zarr.json"))
        return Taxonomy.from_json(metadata["attributes"]["taxonomy"])

    def delete_taxonomy(self, name: str) -> None:
        """Remove a taxonomy."""
        self._member("taxonomies", name, "taxonomy").remove()

    def save_taxonomy(self, name: str, taxonomy: Taxonomy) -> None:
        """Store a taxonomy; an older one of the same name is replaced."""
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"taxonomy": taxonomy.to_json()},
        }
        folder = self.folder.child(f"taxonomies/{checked_name(name)}")
        with folder.filled(replace=True) as scratch:
            (scratch / "zarr.json").write_bytes(encode_json(group))

    def _members(self, kind: str) -> list[str]:
        return [name for name in self.folder.child(kind).groups() if _NAME.fullmatch(name)]

    def _member(self, kind: str, name: str, noun: str) -> Folder:
        folder = self.folder.child(f"{kind}/{name}")
        if not _NAME.fullmatch(name) or folder.size("zarr.json") is None:
            try:
                advice = did_you_mean(name, self._members(kind))
            except StorageError as error:  # a web server cannot be listed
                advice = str(error)
            raise FeatureNotFoundError(f"{self.location} has no {noun} {name!r}. {advice}")
        return folder


def _no_store(folder: Folder) -> NotAStoreError:
    return NotAStoreError(
        f"{folder} is not a featstore store (no zarr.json with a featstore format); give the "
        "location of a store, or another one to create one"
    )


def checked_name(name: str) -> str:
    """Return `name` if it can name a feature, subset, run or taxonomy.

    Raises
    ------
    InvalidInputError
        If it has characters that paths or other Zarr tools cannot take.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{name!r} cannot be used as a name: letters, digits and _ . + - only, beginning "
            "with a letter or digit"
        )
    return name
