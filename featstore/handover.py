"""Hand-over: views as objects of xarray, dask and Hugging Face datasets, read when asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.optional import import_optional
from featstore.samples import UNLABELLED, Samples
from featstore.view import View

if TYPE_CHECKING:
    import dask.array
    import datasets
    import xarray

#: Rows of a dask chunk hold about this many bytes.
_CHUNK_BYTES = 16 << 20


def to_dask(view: View, *, rows: int | None = None) -> dask.array.Array:
    """Return a view as a dask array whose chunks are whole rows, read by the workers that use them.

    Parameters
    ----------
    view
        Of one feature or of several.
    rows
        Of a chunk; about 16 MiB by default.

    Raises
    ------
    InvalidInputError
        If `rows` is below 1.
    MissingDependencyError
        If dask is not installed.
    """
    array = import_optional("dask.array", extra="dask")
    n, dim = view.shape
    if rows is None:
        rows = max(_CHUNK_BYTES // (dim * view.dtype.itemsize), 1)
    if rows < 1:
        raise InvalidInputError(f"a chunk needs at least 1 row, got rows={rows}")
    # The name is what dask tells equal work by; without it, it would hash all values.
    made: dask.array.Array = array.from_array(
        _RowSlices(view), chunks=(min(rows, max(n, 1)), dim), name=f"featstore-{_identity(view)}"
    )
    return made


def to_xarray(
    view: View, samples: Samples | None = None, *, rows: int | None = None
) -> xarray.DataArray:
    """Return a view as a labelled array with the dimensions ``sample`` and ``dim``.

    Parameters
    ----------
    view
        Of one feature or of several; of several, the coordinate ``feature`` names the block of
        every column.
    samples
        The store's samples, whose splits and single-label targets become coordinates.
    rows
        Read lazily by dask, that many rows at a time.  Without it, consecutive rows of a local
        store are a window on the mapped files, and any others are copied.

    Raises
    ------
    InvalidInputError
        If a target is called like another coordinate.
    MissingDependencyError
        If xarray, or with `rows` dask, is not installed.
    """
    module = import_optional("xarray", extra="xarray")
    blocks = [block.name for block in view.blocks for _ in range(block.shape[1])]
    coordinates: dict[str, Any] = {
        "sample": view.ids.astype(object),
        "feature": ("dim", np.asarray(blocks, object)),
    }
    for name, column in _columns(view, samples, taken=[*coordinates, "dim"]).items():
        coordinates[name] = ("sample", column)
    specs = {block.name: block.spec.digest for block in view.blocks}
    made: xarray.DataArray = module.DataArray(
        view.array() if rows is None else to_dask(view, rows=rows),
        dims=("sample", "dim"),
        coords=coordinates,
        name="+".join(view.names),
        attrs={"spec_digest": specs},
    )
    return made


def to_dataset(view: View, samples: Samples | None = None) -> datasets.Dataset:
    """Return a view as a Hugging Face dataset with the columns ``id`` and ``embedding``.

    Consecutive rows of a local store are not copied: the dataset reads the mapped files.

    Parameters
    ----------
    view
        Of one feature or of several.
    samples
        The store's samples, whose splits become the column ``split`` and whose single-label
        targets become columns of class labels.

    Raises
    ------
    InvalidInputError
        If a target is called like another column.
    MissingDependencyError
        If datasets is not installed.
    """
    hub = import_optional("datasets", extra="hf")
    import pyarrow as pa

    values = np.ascontiguousarray(view.array())
    columns: dict[str, Any] = {
        "id": view.ids.tolist(),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), view.shape[1]),
    }
    features = {
        "id": hub.Value("string"),
        "embedding": hub.List(hub.Value(view.dtype.name), length=view.shape[1]),
    }
    for name, column in _columns(view, samples, taken=list(columns), codes=True).items():
        columns[name] = column
        known = None if samples is None else samples.targets.get(name)
        features[name] = hub.ClassLabel(names=list(known.classes)) if known else hub.Value("string")
    kinds = hub.Features(features)
    made: datasets.Dataset = hub.Dataset(pa.table(columns, schema=kinds.arrow_schema))
    return made


class _RowSlices:
    """A view that answers to slices, which is all that dask asks of an array."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.shape = view.shape
        self.dtype = view.dtype
        self.ndim = 2

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = index
        return self._view.take(np.arange(len(self._view))[rows])[:, columns]


def _identity(view: View) -> str:
    """Digest of what a view shows: its features and rows."""
    content = hashlib.sha256(" ".join(block.spec.digest for block in view.blocks).encode())
    content.update(view.rows.tobytes())
    return content.hexdigest()[:32]


def _columns(
    view: View, samples: Samples | None, *, taken: Sequence[str], codes: bool = False
) -> dict[str, NDArray[Any] | list[Any]]:
    """Split and single-label targets of a view's rows, as names or (targets) as codes."""
    if samples is None:
        return {}
    columns: dict[str, NDArray[Any] | list[Any]] = {}
    if samples.split_names:
        columns["split"] = samples.splits[view.rows].astype(object)
    single = {name: target for name, target in samples.targets.items() if target.kind == "single"}
    for name, target in single.items():
        if name in (*taken, "split"):
            raise InvalidInputError(
                f"target {name!r} is called like another column of the result; hand over the view "
                "without samples, and join the labels under another name"
            )
        found = target.codes[view.rows]
        if codes:
            columns[name] = [None if c == UNLABELLED else c for c in found.tolist()]
        else:
            # -1 takes the last name: no label.
            columns[name] = np.asarray([*target.classes, None], object)[found]
    return columns
