"""Inputs: feature matrices and targets as probes take them, checked once at the edge."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d, validate_data

from featstore.errors import InvalidInputError
from featstore.finite import finite_rows

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK_ROWS = 4096
_NAMED_ROWS = 5


def features_of(estimator: Any, X: Any, *, reset: bool) -> NDArray[np.floating]:
    """Return the feature matrix as a finite NumPy array in the dtype it was stored in.

    Parameters
    ----------
    estimator
        Fitted probe, or the one being fitted: remembers the width and names of the columns.
    X
        Shape (n, d): a NumPy array, a torch tensor, a data frame, or anything with ``array()``
        or ``__array__``.  float16, float32 and float64 are kept, other dtypes become float64.
    reset
        True when fitting.

    Raises
    ------
    InvalidInputError
        If rows hold NaN or infinity; names the first of them.
    """
    ids = None
    if callable(getattr(X, "array", None)):
        ids = getattr(X, "ids", None)
        X = X.array()
    elif callable(getattr(X, "detach", None)):
        X = X.detach().cpu()
        X = (X.float() if is_bfloat(X) else X).numpy()
    X = validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32, np.float16],
        ensure_all_finite=False,
    )
    bad = np.concatenate(
        [rows.start + np.flatnonzero(~finite_rows(X[rows])) for rows in blocks(len(X))]
    )
    if len(bad):
        raise InvalidInputError(
            f"{len(bad)} of {len(X)} rows of X contain NaN or infinity: "
            f"{'' if ids is not None else 'rows '}{named_rows(bad, ids)}; "
            "drop these rows, or extract their features again"
        )
    return X  # type: ignore[no-any-return]


def named_rows(rows: NDArray[np.intp], ids: NDArray[np.str_] | None) -> str:
    """Name the first few rows, by their ids where there are some.

    Examples
    --------
    >>> named_rows(np.array([3, 5]), None), named_rows(np.array([1]), np.array(["a", "b"]))
    ('3, 5', 'b (row 1)')
    """
    first = rows[:_NAMED_ROWS]
    named = ", ".join(str(row) if ids is None else f"{ids[row]} (row {row})" for row in first)
    return named + (", …" if len(rows) > len(first) else "")


def is_bfloat(X: Any) -> bool:
    """Whether X is a tensor of numbers that NumPy does not have."""
    return callable(getattr(X, "detach", None)) and str(X.dtype) == "torch.bfloat16"


def blocks(n: int, size: int = _BLOCK_ROWS) -> Iterator[slice]:
    """Consecutive slices of at most `size` rows that cover range(n).

    Examples
    --------
    >>> list(blocks(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


def as_tensor(X: NDArray[np.floating]) -> Tensor:
    """View an array as a CPU tensor without a copy; it is only ever read."""
    import torch

    if any(stride < 0 for stride in X.strides):
        X = np.ascontiguousarray(X)
    with warnings.catch_warnings():
        # Mapped stores are read-only; torch has no such tensors and warns.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(X)


@dataclass(frozen=True, eq=False)
class Targets:
    """What a probe is fitted to.

    Attributes
    ----------
    classes
        Names of the classes in sorted order, shape (c,); for an indicator its column numbers.
    labels
        Single-label: position of each row's class in `classes`, shape (n,), int64.
        Multi-label: which classes each row has, shape (n, c), bool.
    """

    classes: NDArray[Any]
    labels: NDArray[np.int64] | NDArray[np.bool_]

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several classes or none."""
        return self.labels.ndim == 2

    @classmethod
    def of(cls, y: ArrayLike | None, *, n_samples: int) -> Targets:
        """Read labels (n,) of any sortable dtype, or an indicator matrix (n, c) of 0 and 1.

        The indicator may be a SciPy sparse matrix; it is held as one byte per row and label.

        Raises
        ------
        InvalidInputError
            If `y` has not `n_samples` rows or is neither of the two.

        Examples
        --------
        >>> Targets.of(["owl", "jay", "owl"], n_samples=3).labels
        array([1, 0, 1])
        """
        if y is None:
            raise InvalidInputError("a probe requires y to be passed, but the target y is None")
        if issparse(y):
            y = _dense_indicator(y)
        labels: NDArray[Any] = np.asarray(y)
        if labels.ndim not in (1, 2):
            raise InvalidInputError(f"y must have shape (n,) or (n, c), got {labels.shape}")
        if len(labels) != n_samples:
            raise InvalidInputError(f"X has {n_samples} rows and y {len(labels)}: they must match")
        if labels.dtype.kind in "fc" and not np.isfinite(labels).all():
            raise InvalidInputError("y contains NaN or infinity; drop the rows without a label")
        # scikit-learn's column vector of classes is no indicator; a bool matrix always is.
        if labels.ndim == 2 and (labels.shape[1] > 1 or labels.dtype == bool):
            if not ((labels == 0) | (labels == 1)).all():
                raise InvalidInputError(
                    f"a 2-D y of shape {labels.shape} must be an indicator of 0 and 1; "
                    "pass class labels as a 1-D y"
                )
            return cls(np.arange(labels.shape[1]), labels.astype(bool))
        labels = column_or_1d(labels, warn=True)
        kind = type_of_target(labels)
        if kind not in ("binary", "multiclass"):
            raise InvalidInputError(f"Unknown label type: {kind}; y must hold class labels")
        classes, codes = np.unique(labels, return_inverse=True)
        return cls(classes, codes.astype(np.int64))


def _dense_indicator(y: Any) -> NDArray[np.bool_]:
    """Unpack a sparse indicator; all of its values must be 0 or 1."""
    y = y.tocsr()
    if not np.isin(y.data, (0, 1)).all():
        raise InvalidInputError(
            f"a sparse y of shape {y.shape} must be an indicator of 0 and 1; pass class labels as "
            "a 1-D array"
        )
    dense: NDArray[np.bool_] = y.astype(bool).toarray()
    return dense
