"""HoldOut: a test split for data that come without one, the same on every machine."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from featstore.errors import InvalidInputError
from featstore.samples import Samples


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

    Raises
    ------
    InvalidInputError
        If the fraction is not between 0 and 1.
    """

    fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise InvalidInputError(f"a hold-out fraction lies in (0, 1), got {self.fraction}")

    def __str__(self) -> str:
        return f"stratified hold-out of {self.fraction:g} by hash of the id, seed {self.seed}"

    @property
    def options(self) -> dict[str, float | None]:
        """Options of `featstore extract` that give this hold-out; None for the usual value."""
        usual = HoldOut()
        return {
            "hold-out": self.fraction if self.fraction != usual.fraction else None,
            "seed": self.seed if self.seed != usual.seed else None,
        }

    def draw(self, samples: Samples) -> Samples:
        """Return `samples` with the splits ``train`` and ``test``.

        Stratified by the first single-label target; without one, drawn from all rows.
        """
        single = [t for t in samples.targets.values() if t.kind == "single"]
        strata = single[0].codes if single else np.zeros(len(samples), np.int32)
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
