"""FeatureStore: one data set on disk — its samples, features, runs and taxonomies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featstore._version import __version__
from featstore.commits import encode_json
from featstore.durable import new_folder, remove_folder, storage_error, write_durably
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
from featstore.samples import Samples, Target
from featstore.spec import FeatureSpec
from featstore.suggest import did_you_mean
from featstore.view import FeatureView, FusedView, View
from featstore.writer import FeatureWriter

if TYPE_CHECKING:
    from featstore.run import ProbeRun
    from featstore.taxonomy import Taxonomy

FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class FeatureStore:
    """One data set on disk: rows are samples, columns are feature blocks.

    Use `FeatureStore.open` or `FeatureStore.create`.

    Attributes
    ----------
    path
        The store's folder, a plain Zarr v3 group.
    attributes
        Format version, source of the data, version of featstore that created it.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        self.path = path
        self.attributes = attributes

    @classmethod
    def open(cls, path: str | Path) -> FeatureStore:
        """Open a store for reading and writing.

        Raises
        ------
        StoreNotFoundError
            If nothing is there.
        NotAStoreError
            If something else is there, or a store of a newer format.
        """
        path = Path(path)
        if not path.exists():
            raise StoreNotFoundError(
                f"no store at {path}; create one with `featstore extract IMAGES --out {path}`"
            )
        try:
            metadata = json.loads((path / "zarr.json").read_bytes())
            attributes = metadata["attributes"]["featstore"]
            version = attributes["format"]
        except (OSError, ValueError, KeyError, TypeError):
            raise NotAStoreError(
                f"{path} is not a featstore store (no zarr.json with a featstore format); give "
                "the path of a store, or another path to create one"
            ) from None
        if version > FORMAT_VERSION:
            raise NotAStoreError(
                f"{path} has format {version}, this featstore {__version__} reads up to "
                f"{FORMAT_VERSION}; upgrade featstore"
            )
        return cls(path, attributes)

    @classmethod
    def create(
        cls, path: str | Path, samples: Samples, *, source: Mapping[str, Any] | None = None
    ) -> FeatureStore:
        """Create a store that holds samples and no features yet.

        The store appears under `path` complete or not at all.

        Raises
        ------
        NotAStoreError
            If something exists at `path`.
        StorageError
            If the disk refuses.
        """
        import zarr

        path = Path(path)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise NotAStoreError(f"cannot create a store at {path}: something else is there")
        attributes: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "created_by": f"featstore {__version__}",
            "source": dict(source or {}),
        }
        try:
            with new_folder(path) as folder:
                group = zarr.create_group(folder, zarr_format=3)
                samples.write(group.create_group("samples"))
                for name in ("features", "runs", "taxonomies"):
                    group.create_group(name)
                group.attrs["featstore"] = attributes
        except StorageError:
            if (path / "zarr.json").exists():
                raise NotAStoreError(
                    f"another process has just created {path}; run the same command again to add "
                    "to it"
                ) from None
            raise
        return cls(path, attributes)

    @cached_property
    def samples(self) -> Samples:
        """The row table."""
        import zarr

        return Samples.read(zarr.open_group(self.path, mode="r")["samples"])

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        metadata = json.loads((self.path / "samples" / "zarr.json").read_bytes())
        return int(metadata["attributes"]["n_samples"])

    def __repr__(self) -> str:
        return f"<FeatureStore {self.path} {self.n_samples} samples, features: {self.features}>"

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
        return FeatureInfo.read(self._member("features", name, "feature"), self.n_samples)

    def feature_folder(self, name: str) -> Path:
        """Folder of a feature, whether it exists or not."""
        return self.path / "features" / checked_name(name)

    def writer(self, name: str, spec: FeatureSpec) -> FeatureWriter:
        """Start or resume writing a feature; see `FeatureWriter`."""
        return FeatureWriter(self.feature_folder(name), spec, self.n_samples)

    def delete_feature(self, name: str) -> None:
        """Remove a feature and free its space."""
        folder = self._member("features", name, "feature")
        remove_folder(folder)

    def view(
        self,
        features: str | Sequence[str],
        *,
        split: str | None = None,
        rows: NDArray[np.intp] | None = None,
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
        blocks = [
            FeatureView(info.name, info.spec, info.load, self.samples.ids, rows) for info in infos
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
                f"{self.path} has no split {split!r}. {did_you_mean(split, known)}"
            )
        return np.flatnonzero(self.samples.splits == split)

    def target(self, name: str | None = None) -> tuple[str, Target]:
        """Return a target by name; without one, the only target or the first."""
        targets = self.samples.targets
        if not targets:
            raise FeatureNotFoundError(
                f"{self.path} has no targets: it was extracted without labels, so there is "
                "nothing to probe"
            )
        if name is None:
            name = next(iter(targets))
        if name not in targets:
            raise FeatureNotFoundError(
                f"{self.path} has no target {name!r}. {did_you_mean(name, targets)}"
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
                f"feature {name!r} was computed for other rows than {self.path} has; remove it "
                f"(featstore rm {self.path} {name}) and extract it again"
            )
        return info

    # Runs and taxonomies

    @property
    def is_empty(self) -> bool:
        """Whether nothing was computed yet: no row of any feature, and no run."""
        return not self.runs and not any(self.feature(f).committed_rows for f in self.features)

    @property
    def runs(self) -> list[str]:
        """Names of the stored runs."""
        return self._members("runs")

    def run(self, name: str) -> ProbeRun:
        """Load a stored run."""
        from featstore.run import ProbeRun

        try:
            return ProbeRun.load(self._member("runs", name, "run"))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, FeatstoreError):
                raise
            raise CorruptStoreError(
                f"run {name!r} is damaged or of another version of featstore; remove it with "
                f"`featstore rm {self.path} {name}` and probe again"
            ) from error

    def delete_run(self, name: str) -> None:
        """Remove a run."""
        remove_folder(self._member("runs", name, "run"))

    def save_run(self, run: ProbeRun) -> None:
        """Store a run under its name; an older one of the same name is replaced."""
        folder = self.path / "runs" / checked_name(run.name)
        with new_folder(folder, replace=True) as temporary:
            run.save(temporary)

    @property
    def taxonomies(self) -> list[str]:
        """Names of the stored taxonomies."""
        return self._members("taxonomies")

    def taxonomy(self, name: str) -> Taxonomy:
        """Load a stored taxonomy."""
        from featstore.taxonomy import Taxonomy

        metadata = json.loads(
            (self._member("taxonomies", name, "taxonomy") / "zarr.json").read_bytes()
        )
        return Taxonomy.from_json(metadata["attributes"]["taxonomy"])

    def delete_taxonomy(self, name: str) -> None:
        """Remove a taxonomy."""
        remove_folder(self._member("taxonomies", name, "taxonomy"))

    def save_taxonomy(self, name: str, taxonomy: Taxonomy) -> None:
        """Store a taxonomy; an older one of the same name is replaced."""
        folder = self.path / "taxonomies" / checked_name(name)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"taxonomy": taxonomy.to_json()},
        }
        write_durably(folder / "zarr.json", [encode_json(group)])

    def _members(self, kind: str) -> list[str]:
        found = (self.path / kind).glob("*/zarr.json")
        return sorted(path.parent.name for path in found if _NAME.fullmatch(path.parent.name))

    def _member(self, kind: str, name: str, noun: str) -> Path:
        folder = self.path / kind / name
        if not _NAME.fullmatch(name) or not (folder / "zarr.json").exists():
            raise FeatureNotFoundError(
                f"{self.path} has no {noun} {name!r}. {did_you_mean(name, self._members(kind))}"
            )
        return folder


def checked_name(name: str) -> str:
    """Return `name` if it can name a feature, run or taxonomy.

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
