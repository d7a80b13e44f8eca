"""FeatureDifference: what two features do not have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from featstore.deviation import Deviation, deviation, suspects
from featstore.feature import FeatureInfo
from featstore.samples import Samples
from featstore.store import FeatureStore


@dataclass(frozen=True)
class Alignment:
    """Rows of two stores that belong to the same samples.

    Attributes
    ----------
    a, b
        Their rows in either store, shape (n,), in the order of the first.
    identical
        Whether both stores have these samples only, in the same order.
    """

    a: NDArray[np.intp]
    b: NDArray[np.intp]
    identical: bool

    @classmethod
    def of(cls, a: Samples, b: Samples) -> Alignment:
        """Match the samples of two stores by id.

        Examples
        --------
        >>> def table(*ids):
        ...     return Samples(np.array(ids), np.array([""] * len(ids)))
        >>> matched = Alignment.of(table("x", "y", "z"), table("z", "w", "x"))
        >>> matched.a.tolist(), matched.b.tolist(), matched.identical
        ([0, 2], [2, 0], False)
        """
        if np.array_equal(a.ids, b.ids):
            rows = np.arange(len(a))
            return cls(rows, rows, identical=True)
        place = {name: row for row, name in enumerate(b.ids.tolist())}
        found = np.asarray([place.get(name, -1) for name in a.ids.tolist()], np.intp)
        return cls(np.flatnonzero(found >= 0), found[found >= 0], identical=False)


@dataclass(frozen=True)
class FeatureDifference:
    """What two features do not have in common.

    Attributes
    ----------
    a, b
        Their names.
    spec
        Fields of the spec that differ, ``"field: a | b"``.  The samples are not among them.
    problems
        Why values could not be compared, and rows that only one of the two excludes.
    values
        How far their values lie apart; None if they could not be compared.
    by
        Whether equal checksums spared a look at the values.
    """

    a: str
    b: str
    spec: tuple[str, ...]
    problems: tuple[str, ...]
    values: Deviation | None
    by: Literal["checksums", "values"] | None

    @property
    def equal(self) -> bool:
        """Whether the two are the same, as far as the tolerance asked."""
        same_values = self.values is not None and not self.values.differing
        return same_values and not self.spec and not self.problems


def feature_difference(
    a: tuple[FeatureStore, str],
    b: tuple[FeatureStore, str],
    rows: Alignment,
    *,
    tolerance: float = 0.0,
    advance: Callable[[int], None] = lambda step: None,
) -> FeatureDifference:
    """Compare two features.

    Parameters
    ----------
    a, b
        Stores, and names of features in them.
    rows
        Which rows to compare.
    tolerance
        Relative difference up to which a row counts as equal, see `Deviation`.
    advance
        Told about every batch of rows.
    """
    one, other = a[0].feature(a[1]), b[0].feature(b[1])
    problems = [
        f"unfinished in {store.location}: {info.committed_rows} of {info.layout.rows} rows"
        for store, info in ((a[0], one), (b[0], other))
        if not info.sealed
    ]
    if not len(rows.a):
        problems.append("no sample in common")
    values: Deviation | None = None
    by: Literal["checksums", "values"] | None = None
    if not problems and one.layout.dim == other.layout.dim:
        kept, problems = _readable(one, other, rows, a[0].samples)
        compared = kept
        if rows.identical and one.layout == other.layout:
            compared = np.intersect1d(kept, suspects(one.commits(), other.commits(), one.layout))
        by = "values" if len(compared) else "checksums"
        values = deviation(
            a[0].view(a[1], rows=rows.a[compared]),
            b[0].view(b[1], rows=rows.b[compared]),
            rows=len(kept),
            tolerance=tolerance,
            advance=advance,
        )
        advance(len(rows.a) - len(compared))
    return FeatureDifference(a[1], b[1], _spec_lines(one, other), tuple(problems), values, by)


def _spec_lines(a: FeatureInfo, b: FeatureInfo) -> tuple[str, ...]:
    # Samples are compared on their own, and what only people read makes no difference.
    mine = dataclasses.replace(a.spec, samples_digest=b.spec.samples_digest)
    return tuple(mine.differences(b.spec)) if mine.digest != b.spec.digest else ()


def _readable(
    a: FeatureInfo, b: FeatureInfo, rows: Alignment, samples: Samples
) -> tuple[NDArray[np.intp], list[str]]:
    """Return the aligned rows that both features have, and what to say about the others."""
    lost_a = np.isin(rows.a, list(a.excluded))
    lost_b = np.isin(rows.b, list(b.excluded))
    problems = []
    for which, only in (("first", lost_a & ~lost_b), ("second", lost_b & ~lost_a)):
        if only.any():
            example = samples.ids[rows.a[np.flatnonzero(only)[0]]]
            problems.append(f"{only.sum()} rows excluded only in the {which} (e.g. {example})")
    return np.flatnonzero(~(lost_a | lost_b)), problems
