"""HoldOut: a test split for data that come without one, the same on every machine."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.samples import Samples, Target
from featstore.suggest import did_you_mean


@dataclass(frozen=True)
class HoldOut:
    """A stratified hold-out drawn by hashing ids.

    Each class gives `fraction` of its samples to the test split, but at least one where it has
    two, and never all.  Which ones
    depends on the ids and the seed alone: not on the order of files, the machine or other
    classes, so adding a class moves nobody.

    Attributes
    ----------
    fraction
        Share of the samples that becomes the test split, in (0, 1).
    seed
        Another seed, another draw.
    groups
        A single-label target whose classes are groups (patients, sites); a group goes to the test
        split as a whole, drawn by hashing its name, and a class's share may then be less exact.

    Raises
    ------
    InvalidInputError
        If the fraction is not between 0 and 1.
    """

    fraction: float = 0.2
    seed: int = 0
    groups: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise InvalidInputError(f"a hold-out fraction lies in (0, 1), got {self.fraction}")

    def __str__(self) -> str:
        by = "id" if self.groups is None else f"group ({self.groups})"
        return f"stratified hold-out of {self.fraction:g} by hash of the {by}, seed {self.seed}"

    @property
    def options(self) -> dict[str, float | str | None]:
        """Options of `featstore extract` that give this hold-out; None for the usual value."""
        usual = HoldOut()
        return {
            "hold-out": self.fraction if self.fraction != usual.fraction else None,
            "seed": self.seed if self.seed != usual.seed else None,
            "group-column": self.groups,
        }

    def draw(self, samples: Samples) -> Samples:
        """Return `samples` with the splits ``train`` and ``test``.

        Stratified by the first single-label target that is not the groups; without one, drawn from
        all rows.

        Raises
        ------
        InvalidInputError
            If there is no such target as `groups`, it is multi-label or lacks labels, or all rows
            are of one group.
        """
        single = [
            t for name, t in samples.targets.items() if t.kind == "single" and name != self.groups
        ]
        strata = np.zeros(len(samples), np.int32)
        if single:
            strata = single[0].codes.astype(np.int32)
        if self.groups is not None:
            return samples.with_splits(self._whole_groups(samples, strata))
        keys = np.asarray(
            [hashlib.sha256(f"{self.seed}:{name}".encode()).digest() for name in samples.ids]
        )
        splits = np.full(len(samples), "train", dtype="<U5")
        for stratum in np.unique(strata):
            rows = np.flatnonzero(strata == stratum)
            wanted = math.floor(self.fraction * len(rows) + 0.5)
            n_test = min(max(wanted, 1), len(rows) - 1)
            splits[rows[np.argsort(keys[rows], kind="stable")][:n_test]] = "test"
        return samples.with_splits(splits)

    def _whole_groups(self, samples: Samples, strata: NDArray[np.int32]) -> NDArray[np.str_]:
        """Send groups to the test split by the order of their hashes while classes want more."""
        groups = self._groups(samples)
        n_strata = int(strata.max()) + 2
        counts = np.zeros((len(groups.classes), n_strata), np.int64)
        np.add.at(counts, (groups.codes, strata + 1), 1)
        wanted = np.floor(self.fraction * counts.sum(axis=0) + 0.5)
        order = sorted(
            np.flatnonzero(counts.any(axis=1)).tolist(),
            key=lambda code: hashlib.sha256(
                f"{self.seed}:{groups.classes[code]}".encode()
            ).digest(),
        )
        taken = np.zeros(n_strata, np.int64)
        test = np.zeros(len(groups.classes), bool)
        for code in order:
            # A group goes where it brings the classes it has nearer to their shares.
            with_it = np.abs(taken + counts[code] - wanted).sum()
            if with_it < np.abs(taken - wanted).sum():
                test[code] = True
                taken += counts[code]
        if not test.any():
            test[order[0]] = True
        if test[order].all():
            test[order[-1]] = False
        return np.where(test[groups.codes], "test", "train")

    def _groups(self, samples: Samples) -> Target:
        target = samples.targets.get(str(self.groups))
        if target is None:
            raise InvalidInputError(
                f"there is no column {self.groups!r} of groups. "
                f"{did_you_mean(str(self.groups), samples.targets)}"
            )
        if target.kind == "multi" or not target.labelled.all():
            raise InvalidInputError(
                f"column {self.groups!r} cannot group the samples: each needs exactly one group"
            )
        if len(np.unique(target.codes)) < 2:
            raise InvalidInputError(
                f"all samples are of one group in column {self.groups!r}; a hold-out that keeps "
                "groups together needs at least two"
            )
        return target
