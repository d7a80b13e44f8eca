"""Samples: the rows of a store — ids, splits and targets — and how they lie on disk."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from featstore.columns import write_column
from featstore.errors import CorruptStoreError, InvalidInputError
from featstore.strings import pack, unpack

#: Code of a sample without a label.
UNLABELLED = -1
#: Rows of a target that are widened at a time.
_DIGESTED_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class Target:
    """A named label column.

    Attributes
    ----------
    kind
        ``"single"``: exactly one class per sample.  ``"multi"``: any number of classes.
    classes
        Class names, length c.
    codes
        Single: shape (n,), int32, -1 for a sample without a label.
        Multi: shape (n, c), bool.
    """

    kind: Literal["single", "multi"]
    classes: tuple[str, ...]
    codes: NDArray[np.int32] | NDArray[np.bool_]

    @classmethod
    def from_labels(cls, labels: Sequence[str | None]) -> Target:
        """Encode one label per sample; None means unlabelled.  Classes are sorted by name.

        Examples
        --------
        >>> Target.from_labels(["cat", "ant", "cat"]).codes
        array([1, 0, 1], dtype=int32)
        """
        classes = tuple(sorted({label for label in labels if label is not None}))
        code = {name: i for i, name in enumerate(classes)}
        codes = [UNLABELLED if label is None else code[label] for label in labels]
        return cls("single", classes, np.asarray(codes, np.int32))

    @classmethod
    def from_label_sets(cls, labels: Sequence[Sequence[str]]) -> Target:
        """Encode any number of labels per sample.  Classes are sorted by name."""
        classes = tuple(sorted({name for names in labels for name in names}))
        code = {name: i for i, name in enumerate(classes)}
        codes = np.zeros((len(labels), len(classes)), bool)
        for row, names in enumerate(labels):
            codes[row, [code[name] for name in names]] = True
        return cls("multi", classes, codes)

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Whether each sample has a label, shape (n,); all do where several are possible."""
        if self.kind == "multi":
            return np.ones(len(self.codes), bool)
        return np.asarray(self.codes != UNLABELLED)

    def name_of(self, row: int | np.integer) -> str | None:
        """Name the class of a sample, or its classes joined by ``, ``; None without a label.

        Examples
        --------
        >>> Target.from_labels(["cat", None]).name_of(0)
        'cat'
        """
        if self.kind == "multi":
            return ", ".join(self.classes[code] for code in np.flatnonzero(self.codes[row]))
        code = int(self.codes[row])
        return None if code == UNLABELLED else self.classes[code]


@dataclass(frozen=True, eq=False)
class Samples:
    """The row table of a store.

    Attributes
    ----------
    ids
        Stable names, unique, shape (n,), unicode; for image files the path relative to the
        source's root, with ``/``.
    splits
        Split name of each sample, shape (n,), unicode; "" for none.
    targets
        Label columns by name.
    marks
        A cheap content mark per sample, shape (n,), uint64: the file size in bytes where the
        sample is a file.
    weights
        How much each sample counts, shape (n,), float64, for the ``sample_weight`` of estimators.

    Raises
    ------
    InvalidInputError
        If ids repeat, lengths differ, or a weight is negative or no number.
    """

    ids: NDArray[np.str_]
    splits: NDArray[np.str_]
    targets: Mapping[str, Target] = field(default_factory=dict)
    marks: NDArray[np.uint64] | None = None
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = len(self.ids)
        lengths = {"splits": len(self.splits)}
        lengths |= {f"target {name!r}": len(t.codes) for name, t in self.targets.items()}
        if self.marks is not None:
            lengths["marks"] = len(self.marks)
        if self.weights is not None:
            lengths["weights"] = len(self.weights)
        for name, length in lengths.items():
            if length != n:
                raise InvalidInputError(f"{name} has {length} entries for {n} samples")
        if self.weights is not None:
            bad = np.flatnonzero(~(np.isfinite(self.weights) & (self.weights >= 0)))
            if len(bad):
                raise InvalidInputError(
                    f"{len(bad)} samples have a weight that is negative or no number, e.g. "
                    f"{str(self.ids[bad[0]])!r} with {self.weights[bad[0]]}"
                )
        for name in self.targets:
            if not name or name.startswith((".", "__")) or "/" in name or name == "zarr.json":
                raise InvalidInputError(
                    f"a target cannot be called {name!r}: no slash, no dot or __ in front"
                )
        # Hashing Python's strings takes a fifth of the time of sorting NumPy's.
        if len(set(self.ids.tolist())) != n:
            unique, counts = np.unique(self.ids, return_counts=True)
            repeated = unique[counts > 1]
            raise InvalidInputError(
                f"{len(repeated)} sample ids occur more than once, e.g. {str(repeated[0])!r}; "
                "ids must be unique: drop the repeated rows"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        """Sha256 of ids and content marks in order: what a feature's rows depend on."""
        ids, offsets = pack(self.ids)
        return _rows_digest(ids, offsets, self.marks)

    @cached_property
    def labels_digest(self) -> str:
        """Sha256 of splits and labels: what a probe's numbers depend on beside the features."""
        content = hashlib.sha256("\0".join(self.splits.tolist()).encode())
        for name, target in self.targets.items():
            content.update("\0".join([name, target.kind, *target.classes]).encode())
            for start in range(0, len(self), _DIGESTED_ROWS):
                block = target.codes[start : start + _DIGESTED_ROWS]
                content.update(block.astype("<i4").tobytes())
        if self.weights is not None:
            content.update(self.weights.astype("<f8").tobytes())
        return content.hexdigest()

    @cached_property
    def split_names(self) -> tuple[str, ...]:
        """Names of the splits that have samples, in order of first appearance."""
        return tuple(name for name in dict.fromkeys(self.splits.tolist()) if name)

    def write(self, group: Any) -> None:
        """Write into an empty Zarr group; see `featstore.columns`."""
        ids, offsets = pack(self.ids)
        names = self.split_names
        code = {name: i for i, name in enumerate(names)}
        splits = np.asarray([code.get(name, UNLABELLED) for name in self.splits.tolist()], np.int16)
        write_column(group, "ids", ids)
        write_column(group, "id_offsets", offsets)
        write_column(group, "split", splits, names=list(names))
        if self.marks is not None:
            write_column(group, "marks", self.marks)
        if self.weights is not None:
            write_column(group, "weights", self.weights)
        targets = group.create_group("targets")
        for name, target in self.targets.items():
            codes = target.codes.view(np.uint8) if target.kind == "multi" else target.codes
            write_column(targets, name, codes, kind=target.kind, classes=list(target.classes))
        group.attrs.update(
            {
                "n_samples": len(self),
                "digest": _rows_digest(ids, offsets, self.marks),
                "labels_digest": self.labels_digest,
                "targets": list(self.targets),
            }
        )

    @classmethod
    def read(cls, group: Any) -> Samples:
        """Read what `write` wrote.

        Raises
        ------
        CorruptStoreError
            If the ids are not the ones that were written, or a split code has no name.
        """
        names = np.asarray([*group["split"].attrs["names"], ""])
        splits = group["split"][:]
        if len(splits) and not -1 <= splits.min() <= splits.max() < len(names) - 1:
            raise CorruptStoreError(
                f"{group.store_path} has split codes from {splits.min()} to {splits.max()} for "
                f"{len(names) - 1} splits; restore the store from a copy"
            )
        targets = {}
        for name in group.attrs["targets"]:
            array = group["targets"][name]
            codes = array[:].view(bool) if array.attrs["kind"] == "multi" else array[:]
            targets[name] = Target(array.attrs["kind"], tuple(array.attrs["classes"]), codes)
        ids, offsets = group["ids"][:], group["id_offsets"][:]
        marks = group["marks"][:] if "marks" in group else None
        weights = group["weights"][:] if "weights" in group else None
        digest = _rows_digest(ids, offsets, marks)
        if digest != group.attrs["digest"]:
            raise CorruptStoreError(
                f"the sample ids in {group.store_path} do not have the digest they were written "
                "with; restore the store from a copy"
            )
        samples = cls(unpack(ids, offsets), names[splits], targets, marks, weights)
        # Known, so that nothing need be packed again to learn it.
        vars(samples)["digest"] = digest
        return samples

    def differences(self, other: Samples) -> list[str]:
        """Say how `other` differs in ids, content, splits, labels and weights; empty if equal."""
        mine, theirs = set(self.ids.tolist()), set(other.ids.tolist())
        found = []
        for what, ids in (("missing", mine - theirs), ("new", theirs - mine)):
            if ids:
                found.append(f"{len(ids)} {what} (e.g. {min(ids)})")
        if found:
            return found
        if not np.array_equal(self.ids, other.ids):
            return ["the same ids in another order"]
        if self.digest != other.digest and self.marks is not None and other.marks is not None:
            changed = self.ids[self.marks != other.marks]
            found.append(f"{len(changed)} of another file size or content (e.g. {changed[0]})")
        moved = int((self.splits != other.splits).sum())
        if moved:
            found.append(f"{moved} in another split")
        for name in [*self.targets, *(t for t in other.targets if t not in self.targets)]:
            a, b = self.targets.get(name), other.targets.get(name)
            if a is None or b is None:
                found.append(f"target {name!r} only in one of them")
            elif (a.kind, a.classes) != (b.kind, b.classes) or not np.array_equal(a.codes, b.codes):
                found.append(f"target {name!r} with other labels")
        if (self.weights is None) != (other.weights is None):
            found.append("weights only in one of them")
        elif self.weights is not None and not np.array_equal(self.weights, other.weights):  # type: ignore[arg-type]
            found.append(f"{int((self.weights != other.weights).sum())} of another weight")
        return found

    def with_splits(self, splits: NDArray[np.str_]) -> Samples:
        """Return the same samples in other splits."""
        return dataclasses.replace(self, splits=splits)


def relative_id(path: Path, root: Path) -> str:
    """Return the id of a file: its path below `root`, with ``/`` on every system."""
    return readable_id(path.relative_to(root).as_posix())


def readable_id(name: str) -> str:
    """Return a name that can be written to files; an error where it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"the name of {name!r} is not valid UTF-8; rename the file"
        ) from None
    return name


def _rows_digest(
    ids: NDArray[np.uint8], offsets: NDArray[np.uint64], marks: NDArray[np.uint64] | None
) -> str:
    content = hashlib.sha256(offsets.astype("<u8", copy=False).tobytes())
    content.update(ids.tobytes())
    if marks is not None:
        content.update(marks.astype("<u8", copy=False).tobytes())
    return content.hexdigest()
