"""A hold-out of whole groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.holdout import HoldOut
from featstore.samples import Samples, Target


def samples(patients: list[int], labels: list[int]) -> Samples:
    return Samples(
        np.asarray([f"{i}.png" for i in range(len(patients))]),
        np.full(len(patients), ""),
        {
            "label": Target.from_labels([str(label) for label in labels]),
            "patient": Target.from_labels([f"p{p}" for p in patients]),
        },
    )


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=2, max_size=80),
    seed=st.integers(0, 5),
    fraction=st.floats(0.05, 0.95),
)
def test_no_group_is_on_both_sides(rows: list[tuple[int, int]], seed: int, fraction: float) -> None:
    patients, labels = [p for p, _ in rows], [y for _, y in rows]
    hold_out = HoldOut(fraction, seed, "patient")
    table = samples(patients, labels)
    if len(set(patients)) == 1:
        with pytest.raises(InvalidInputError, match="all samples are of one group"):
            hold_out.draw(table)
        return
    splits = hold_out.draw(table).splits
    test = {p for p, s in zip(patients, splits, strict=True) if s == "test"}
    train = {p for p, s in zip(patients, splits, strict=True) if s == "train"}
    assert test
    assert train
    assert not test & train


def test_shares_are_near_where_groups_are_small_and_rows_may_be_in_any_order() -> None:
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 400, 2000)
    labels = rng.integers(0, 3, 2000)
    table = samples(patients.tolist(), labels.tolist())
    splits = HoldOut(0.2, 0, "patient").draw(table).splits
    for label in range(3):
        assert abs((splits[labels == label] == "test").mean() - 0.2) < 0.03
    order = rng.permutation(2000)
    mixed = samples(patients[order].tolist(), labels[order].tolist())
    np.testing.assert_array_equal(HoldOut(0.2, 0, "patient").draw(mixed).splits, splits[order])
    other = HoldOut(0.2, 1, "patient").draw(table).splits
    assert (other != splits).any()


def test_columns_that_are_no_groups() -> None:
    table = samples([0, 1], [0, 1])
    with pytest.raises(InvalidInputError, match=r"no column 'patients' of groups. Did you mean"):
        HoldOut(0.5, 0, "patients").draw(table)
    unlabelled = Samples(table.ids, table.splits, {"g": Target.from_labels(["a", None])})
    with pytest.raises(InvalidInputError, match="each needs exactly one group"):
        HoldOut(0.5, 0, "g").draw(unlabelled)
