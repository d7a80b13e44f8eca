"""Row tables one after the other: ids stay unique, labels keep their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featstore.concatenation import concatenate
from featstore.errors import CorruptStoreError, FeatureNotFoundError, InvalidInputError
from featstore.samples import Samples, Target


def table(ids: Sequence[str], **targets: Target) -> Samples:
    return Samples(np.asarray(list(ids), str), np.full(len(ids), "train"), targets)


def names(target: Target) -> list[str | None] | list[list[str]]:
    """Labels as names, whatever the codes are."""
    if target.kind == "multi":
        return [
            [c for c, on in zip(target.classes, row, strict=True) if on] for row in target.codes
        ]
    return [None if code < 0 else target.classes[code] for code in target.codes.tolist()]


LABELS = st.lists(st.sampled_from(["a", "b", "c", "ä", None]), max_size=6)


@settings(max_examples=50, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=4))
def test_labels_keep_their_names(parts: list[list[str | None]]) -> None:
    tables = {
        f"s{i}": table([f"{i}/{j}" for j in range(len(labels))], y=Target.from_labels(labels))
        for i, labels in enumerate(parts)
    }
    merged = concatenate(tables).samples
    everything = [label for labels in parts for label in labels]
    assert names(merged.targets["y"]) == everything
    assert merged.targets["y"].classes == Target.from_labels(everything).classes
    assert merged.ids.tolist() == [name for samples in tables.values() for name in samples.ids]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sets(st.sampled_from("abcd")), max_size=5), min_size=1, max_size=4))
def test_several_labels_keep_their_names(parts: list[list[set[str]]]) -> None:
    sets = [[sorted(labels) for labels in part] for part in parts]
    tables = {
        f"s{i}": table([f"{i}/{j}" for j in range(len(rows))], y=Target.from_label_sets(rows))
        for i, rows in enumerate(sets)
    }
    assert names(concatenate(tables).samples.targets["y"]) == [row for rows in sets for row in rows]


def test_equal_classes_keep_their_order() -> None:
    grades = Target("single", ("low", "high"), np.array([1, 0], np.int32))
    merged = concatenate({"A": table("12", y=grades), "B": table("34", y=grades)}).samples
    assert merged.targets["y"].classes == ("low", "high")


def test_a_target_that_a_table_lacks_is_unlabelled_there() -> None:
    merged = concatenate({"A": table("1", y=Target.from_labels(["a"])), "B": table("2")})
    assert names(merged.samples.targets["y"]) == ["a", None]
    assert merged.notes == ("target 'y': the rows of B are unlabelled",)


def test_several_labels_cannot_be_missing_unless_asked_for() -> None:
    tables = {"A": table("1", y=Target.from_label_sets([["a"]])), "B": table("2")}
    with pytest.raises(InvalidInputError, match=r"B has no target 'y'.*'no class applies'"):
        concatenate(tables)
    assert concatenate(tables, targets=[]).samples.targets == {}
    forced = concatenate(tables, targets=["y"])
    assert names(forced.samples.targets["y"]) == [["a"], []]
    assert forced.notes == ("target 'y': the rows of B are of no class",)


def test_one_label_here_and_several_there() -> None:
    one, several = Target.from_labels(["a"]), Target.from_label_sets([["a"]])
    with pytest.raises(InvalidInputError, match=r"one class per sample in A and several in B"):
        concatenate({"A": table("1", y=one), "B": table("2", y=several)})


def test_unknown_target() -> None:
    with pytest.raises(FeatureNotFoundError, match=r"'z'.*There are: y"):
        concatenate({"A": table("1", y=Target.from_labels(["a"]))}, targets=["z"])


def test_codes_without_a_class_are_not_passed_on() -> None:
    wrong = Target("single", ("a",), np.array([-2], np.int32))
    with pytest.raises(CorruptStoreError, match="codes from -2 to -2 for 1 classes"):
        concatenate({"A": table("1", y=wrong)})


def test_ids_in_several_tables() -> None:
    with pytest.raises(
        InvalidInputError, match=r"2 ids .* '1' in A and B; '3' in A and C;.*--prefix"
    ):
        concatenate({"A": table("123"), "B": table("1"), "C": table("3")})


def test_marks_are_kept_if_all_have_them() -> None:
    marked = Samples(np.array(["1"]), np.array([""]), marks=np.array([7], np.uint64))
    other = Samples(np.array(["2"]), np.array([""]), marks=np.array([8], np.uint64))
    both = concatenate({"A": marked, "B": other})
    assert both.samples.marks is not None
    assert both.samples.marks.tolist() == [7, 8]
    assert both.notes == ()
    some = concatenate({"A": marked, "B": table("3")})
    assert some.samples.marks is None
    assert some.notes == ("file sizes are dropped: B has none",)


def test_weights_are_kept_if_all_have_them() -> None:
    weighted = Samples(np.array(["1"]), np.array([""]), weights=np.array([0.5]))
    other = Samples(np.array(["2"]), np.array([""]), weights=np.array([2.0]))
    both = concatenate({"A": weighted, "B": other})
    assert both.samples.weights is not None
    assert both.samples.weights.tolist() == [0.5, 2.0]
    some = concatenate({"A": weighted, "B": Samples(np.array(["2"]), np.array([""]))})
    assert some.samples.weights is None
    assert "weights are dropped: B has none" in some.notes
