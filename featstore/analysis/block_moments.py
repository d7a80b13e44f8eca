"""BlockMoments: sums of products of one feature block, from which similarities follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError

_BATCH = 4096
#: Of the largest eigenvalue, times the dimension: below is rounding of float64 sums.
_ROUNDING = 10 * np.finfo(np.float64).eps


@dataclass(frozen=True, eq=False)
class BlockMoments:
    """Centred second moments of the rows of a block, summed over each of k folds of the rows.

    O(k d² + n) memory; the rows are read in batches and never held.

    Attributes
    ----------
    source
        A view, or an array (n, d).
    folds
        Fold of each row, shape (n,).
    mean
        Of all rows, shape (d,).
    norms
        Squared distance of each row from the mean, shape (n,).
    sums
        Sums of each fold's rows less the mean, shape (k, d).
    scatter
        Sums of outer products of these rows, shape (k, d, d).
    """

    source: Any
    folds: NDArray[np.intp]
    mean: NDArray[np.float64]
    norms: NDArray[np.float64]
    sums: NDArray[np.float64]
    scatter: NDArray[np.float64]

    @classmethod
    def of(cls, X: Any, *, folds: int = 1, seed: int = 0) -> BlockMoments:
        """Read a block twice: for its mean, and for its moments.

        Parameters
        ----------
        X
            Shape (n, d): a view, an array, or a torch tensor.
        folds
            Number of random folds of (nearly) equal size.
        seed
            Of the folds; blocks that are compared need equal ones.

        Raises
        ------
        InvalidInputError
            If there are fewer rows than folds, values are not finite, or all rows are equal.

        Examples
        --------
        >>> block = BlockMoments.of(np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]]))
        >>> block.mean.tolist(), block.scatter.tolist()
        ([2.0, 2.0], [[[8.0, 6.0], [6.0, 6.0]]])
        """
        source = as_source(X)
        n, d = source.shape
        if not 1 <= folds <= n:
            raise InvalidInputError(f"{n} rows cannot be divided into {folds} folds")
        fold_of = np.random.default_rng(seed).permutation(n) % folds
        mean, start = np.zeros(d), 0
        for batch in _batches(source):
            batch_sum = batch.sum(axis=0)
            if not np.isfinite(batch_sum).all():
                _refuse(source, start, batch)
            mean += batch_sum
            start += len(batch)
        mean /= n
        norms, start = np.empty(n), 0
        sums, scatter = np.zeros((folds, d)), np.zeros((folds, d, d))
        for batch in _batches(source):
            batch -= mean
            rows = slice(start, start := start + len(batch))
            norms[rows] = np.einsum("nd,nd->n", batch, batch)
            for fold, members in _members(fold_of[rows], folds):
                part = batch[members]
                sums[fold] += part.sum(axis=0)
                scatter[fold] += part.T @ part
        if not norms.sum() > _ROUNDING * n * float(mean @ mean):
            raise InvalidInputError(
                f"all {n} rows of {_name(source)} are equal; nothing is similar to a constant"
            )
        return cls(source, fold_of, mean, norms, sums, scatter)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.norms)

    @property
    def n_folds(self) -> int:
        """Folds."""
        return len(self.sums)

    @cached_property
    def total(self) -> NDArray[np.float64]:
        """Scatter of all rows, shape (d, d)."""
        total: NDArray[np.float64] = self.scatter.sum(axis=0)
        return total

    @cached_property
    def root(self) -> NDArray[np.float64]:
        """`whitening` of the scatter of all rows, shape (d, r), largest variance first."""
        return whitening(self.total)

    def leading_root(self, variance: float) -> NDArray[np.float64]:
        """Return as many columns of `root` as it takes to hold a share of the variance."""
        values = 1 / np.einsum("dr,dr->r", self.root, self.root)
        kept = int(np.searchsorted(np.cumsum(values), variance * values.sum())) + 1
        return self.root[:, :kept]

    @cached_property
    def training_roots(self) -> list[NDArray[np.float64]]:
        """For each fold W with W Wᵀ the pseudo-inverse of the scatter of all other folds."""
        return [
            whitening(self.total - self.scatter[fold] - np.outer(rest, rest) / n_rest)
            for fold, (rest, n_rest) in enumerate(zip(-self.sums, self.n_training, strict=True))
        ]

    @property
    def n_training(self) -> NDArray[np.intp]:
        """Rows outside of each fold, shape (k,)."""
        return self.n - np.bincount(self.folds, minlength=self.n_folds)

    def cross(self, other: BlockMoments) -> NDArray[np.float64]:
        """Scatter between this block and another on the same rows, shape (k, d, d').

        Raises
        ------
        InvalidInputError
            If the blocks have different numbers of rows, or were divided differently.
        """
        if self.n != other.n:
            raise InvalidInputError(
                f"the blocks have {self.n} and {other.n} rows; similarity needs the same rows in "
                "both, in one order"
            )
        if not np.array_equal(self.folds, other.folds):
            raise InvalidInputError("the blocks were divided into different folds; use one seed")
        out = np.zeros((self.n_folds, len(self.mean), len(other.mean)))
        start = 0
        for a, b in zip(_batches(self.source), _batches(other.source), strict=True):
            a -= self.mean
            b -= other.mean
            rows = slice(start, start := start + len(a))
            for fold, members in _members(self.folds[rows], self.n_folds):
                out[fold] += a[members].T @ b[members]
        return out


def whitening(scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return W (d, r) that maps centred rows to orthonormal ones: Wᵀ S W = I.

    Columns are principal directions, that of the largest variance first, over the root of their
    eigenvalue.  Directions of rounding are left out.

    Parameters
    ----------
    scatter
        S, shape (d, d).

    Examples
    --------
    >>> whitening(np.diag([4.0, 0.0])).tolist()
    [[0.5], [0.0]]
    """
    values, vectors = np.linalg.eigh(scatter)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int((values > values[0] * len(values) * _ROUNDING).sum())
    root: NDArray[np.float64] = vectors[:, :kept] / np.sqrt(values[:kept])
    return root


def as_source(X: Any) -> Any:
    """Return a view as it is, and anything else as an array (n, d).

    Raises
    ------
    InvalidInputError
        If that is no matrix, or has no rows.

    Examples
    --------
    >>> as_source([[1, 2], [3, 4]]).shape
    (2, 2)
    """
    if not callable(getattr(X, "batches", None)):
        X = _array(X)
    if len(X.shape) != 2 or 0 in X.shape:
        raise InvalidInputError(f"a block is a matrix (n, d) with rows, got shape {X.shape}")
    return X


def _array(X: Any) -> NDArray[Any]:
    if callable(getattr(X, "detach", None)):  # a tensor, wherever it lies
        X = X.detach().cpu()
    return np.asarray(X)


def _batches(source: Any) -> Iterator[NDArray[np.float64]]:
    """Yield all rows in batches of one size, as float64 copies."""
    if isinstance(source, np.ndarray):
        batches = (source[start : start + _BATCH] for start in range(0, len(source), _BATCH))
    else:
        batches = source.batches(_BATCH)
    return (np.array(batch, np.float64) for batch in batches)


def _members(folds: NDArray[np.intp], n_folds: int) -> Iterator[tuple[int, Any]]:
    if n_folds == 1:
        yield 0, slice(None)  # no copy of the batch
        return
    for fold in range(n_folds):
        yield fold, folds == fold


def _refuse(source: Any, start: int, batch: NDArray[np.float64]) -> None:
    bad = np.flatnonzero(~np.isfinite(batch).all(axis=1))
    first = start + int(bad[0]) if len(bad) else start
    ids = getattr(source, "ids", None)
    raise InvalidInputError(
        f"row {first if ids is None else ids[first]} of {_name(source)} holds NaN or infinity; "
        "extract the feature again, or leave such rows out"
    )


def _name(source: Any) -> str:
    names = getattr(source, "names", None)
    return repr(" + ".join(names)) if names else f"a block of shape {source.shape}"
