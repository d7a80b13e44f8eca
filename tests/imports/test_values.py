"""Values: gathering rows is NumPy's indexing, whatever kind of file they lie in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from featstore.errors import InvalidInputError
from featstore.imports import values as module
from featstore.imports.aligned import AlignedValues
from featstore.imports.values import (
    MappedValues,
    RangedValues,
    StackedValues,
    StreamedValues,
    Values,
    check_floats,
)

X = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)


def kinds() -> dict[str, Values]:
    def blocks(size: int = 7):
        return (X[i : i + size] for i in range(0, len(X), size))

    return {
        "mapped": MappedValues(X),
        "ranged": RangedValues(X.shape, "float32", lambda a, b: X[a:b]),
        "files": RangedValues(X.shape, "float32", lambda a, b: X[a:b], random_access=True),
        "streamed": StreamedValues(X.shape, "float32", blocks),
        "stacked": StackedValues(
            [
                MappedValues(X[:20]),
                RangedValues((5, 6), "float32", lambda a, b: X[20:25][a:b]),
                StreamedValues((25, 6), "float32", lambda: iter([X[25:40], X[40:]])),
            ]
        ),
    }


@pytest.mark.parametrize("kind", kinds())
@given(masks=st.lists(arrays(bool, 50), min_size=1, max_size=4))
def test_take_is_indexing(kind: str, masks: list[np.ndarray]) -> None:
    values = kinds()[kind]
    for mask in masks:  # forwards and backwards, over the same open file
        rows = np.flatnonzero(mask)
        np.testing.assert_array_equal(values.take(rows), X[rows])


@pytest.mark.parametrize("kind", kinds())
def test_windows_smaller_than_the_file(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WINDOW_BYTES", 8 * 6 * 4)
    rows = np.array([0, 3, 4, 11, 30, 31, 49])
    np.testing.assert_array_equal(kinds()[kind].take(rows), X[rows])


@pytest.mark.parametrize("kind", kinds())
def test_any_order_and_gaps_when_aligned(kind: str) -> None:
    rows = np.random.default_rng(1).permutation(50)[:40]
    rows[[3, 39]] = -1
    aligned = AlignedValues(kinds()[kind], rows, "float32")
    found = np.concatenate([aligned.block(0, 13), aligned.block(13, 40)])
    assert np.isnan(found[[3, 39]]).all()
    present = rows >= 0
    np.testing.assert_array_equal(found[present], X[rows[present]])


def test_the_digest_does_not_depend_on_the_kind_of_file() -> None:
    rows = np.arange(50)[::-1].copy()
    digests = {
        AlignedValues(values, rows, "float16").survey(lambda n: None).digest
        for values in kinds().values()
    }
    other = AlignedValues(MappedValues(X), rows, "float32").survey(lambda n: None).digest
    assert len(digests) == 1
    assert other not in digests


def test_bfloat16_is_widened_exactly() -> None:
    tensor = torch.from_numpy(X).bfloat16()
    values = MappedValues(tensor.view(torch.uint16).numpy(), bfloat16=True)
    found = values.take(np.arange(50))
    np.testing.assert_array_equal(found, tensor.float().numpy())


def test_a_stream_that_ends_early_is_an_error() -> None:
    values = StreamedValues((10, 6), "float32", lambda: iter([X[:4]]))
    with pytest.raises(InvalidInputError, match="ends after 4 of 10 rows"):
        values.take(np.arange(10))


def test_stacked_parts_need_one_length() -> None:
    with pytest.raises(InvalidInputError, match="6 in the first, 5 in number 2"):
        StackedValues([MappedValues(X), MappedValues(X[:, :5])])


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((3, 7, 7), "float32", "one vector per image"),
        ((3, 7), "int64", "holds int64"),
        ((0, 7), "float32", "is empty"),
    ],
)
def test_what_is_no_matrix_of_features(shape: tuple[int, ...], dtype: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        check_floats(shape, dtype, "'x' in a.npz")
