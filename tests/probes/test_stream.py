"""RowStream: arrays, tensors and views in blocks, checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator

from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.probes.stream import BLOCK_ROWS, RowStream
from featstore.store import FeatureStore

CPU = torch.device("cpu")


class Estimator(BaseEstimator):
    """Something for scikit-learn to remember the columns of."""


class Pieces:
    """A view that is larger than memory, as far as one can tell."""

    def __init__(self, X, size, ids=None):
        self.X, self.size = X, size
        if ids is not None:
            self.ids = ids

    @property
    def shape(self):
        return self.X.shape

    @property
    def dtype(self):
        return self.X.dtype

    def __len__(self):
        return len(self.X)

    def batches(self):
        for start in range(0, len(self.X), self.size):
            batch = self.X[start : start + self.size].view()
            batch.flags.writeable = False
            yield batch


def read(X, **arguments):
    stream = RowStream.of(Estimator(), X, reset=True, **arguments)
    values, stop = [], 0
    for rows, block in stream.blocks(CPU):
        assert rows.start == stop
        assert len(block) == rows.stop - rows.start <= BLOCK_ROWS
        stop = rows.stop
        values.append(block.double().numpy())
    assert stop == len(stream)
    return stream, np.concatenate(values)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_source_gives_the_same_rows(dtype):
    X = np.random.default_rng(0).normal(size=(2 * BLOCK_ROWS + 5, 3)).astype(dtype)
    for source in (X, torch.from_numpy(X), Pieces(X, 1000), Pieces(X, 3 * BLOCK_ROWS)):
        stream, values = read(source)
        assert (stream.shape, stream.dtype) == (X.shape, X.dtype)
        np.testing.assert_array_equal(values, X.astype(np.float64))
        np.testing.assert_array_equal(stream.read(CPU), X.astype(np.float64))


def test_a_view_with_a_ceiling_is_never_read_whole(new_store: Callable[..., FeatureStore]) -> None:
    X = np.random.default_rng(0).normal(size=(4000, 50)).astype(np.float16)
    rows = np.r_[0:2000, 2001:4000]  # not consecutive: nothing of it is mapped as it is
    view = new_store(4000, a=X).view("a", rows=rows, max_memory=40_000)
    with pytest.raises(MemoryCeilingError):
        view.array()
    np.testing.assert_array_equal(read(view)[1], X[rows].astype(np.float64))


def test_rows_that_are_not_finite_are_named():
    X = np.zeros((100, 3), np.float32)
    X[[3, 40, 41, 42, 43, 44], 1] = np.nan
    X[7, 2] = np.inf
    with pytest.raises(InvalidInputError, match=r"7 of 100 rows .*rows 3, 7, 40, 41, 42, …"):
        read(X)
    with pytest.raises(InvalidInputError, match=r"infinity: 3, 7 \(rows after 9 were not"):
        read(Pieces(X, 10))
    ids = np.asarray([f"{i}.jpg" for i in range(100)])
    with pytest.raises(InvalidInputError, match=r"3\.jpg \(row 3\), 7\.jpg \(row 7\)"):
        read(Pieces(X, 10, ids))
    with pytest.raises(InvalidInputError, match=r"3, 7, 40, 41, 42, … \(rows after 99"):
        read(Pieces(X, 100))


def test_views_must_have_rows_and_the_width_that_was_fitted():
    with pytest.raises(InvalidInputError, match="no rows"):
        RowStream.of(Estimator(), Pieces(np.zeros((0, 3)), 10), reset=True)
    estimator = Estimator()
    RowStream.of(estimator, Pieces(np.zeros((5, 3)), 10), reset=True)
    with pytest.raises(ValueError, match="X has 4 features, but Estimator is expecting 3"):
        RowStream.of(estimator, Pieces(np.zeros((5, 4)), 10), reset=False)
