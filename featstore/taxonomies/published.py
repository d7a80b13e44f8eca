"""Published numbers of classes, to check a taxonomy against."""

from __future__ import annotations

from collections.abc import Mapping

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean
from featstore.taxonomy import Taxonomy

PUBLISHED: Mapping[str, Mapping[str, int]] = {
    "inat21": {
        "species": 10_000,
        "genus": 4_884,
        "family": 1_103,
        "order": 273,
        "class": 51,
        "phylum": 13,
        "kingdom": 3,
    },
    "places365": {"Depth 2": 365, "Depth 1": 16, "Depth 0": 3},
}
"""Data set -> classes of each level, from Cole et al. (2022), C.3."""


def check_published(taxonomy: Taxonomy, dataset: str) -> None:
    """Refuse a taxonomy whose levels have not the published numbers of classes.

    Parameters
    ----------
    taxonomy
        Of the whole data set.
    dataset
        A key of `PUBLISHED`.

    Raises
    ------
    InvalidInputError
        If there are no published numbers, or they are other ones.

    Examples
    --------
    >>> import pandas as pd
    >>> taxonomy = Taxonomy.from_frame(pd.DataFrame({"species": ["a", "b"], "genus": ["c", "c"]}))
    >>> check_published(taxonomy, "inat21")
    Traceback (most recent call last):
    featstore.errors.InvalidInputError: other numbers of classes than published for inat21:
    species 2, not 10000; genus 1, not 4884; ...
    """
    if dataset not in PUBLISHED:
        raise InvalidInputError(
            f"no numbers of classes are published for {dataset!r}. "
            f"{did_you_mean(dataset, PUBLISHED)}"
        )
    found = {
        level: {len(names), _distinct_words(names)}
        for level, names in zip(taxonomy.levels, taxonomy.names, strict=True)
    }
    wrong = [
        f"{level} {max(found.get(level, {0}))}, not {count}"
        for level, count in PUBLISHED[dataset].items()
        if count not in found.get(level, ())
    ]
    if wrong:
        raise InvalidInputError(
            f"other numbers of classes than published for {dataset}: {'; '.join(wrong)}"
        )


def _distinct_words(names: tuple[str, ...]) -> int:
    """Count names without what stands behind them in brackets to tell them apart.

    The paper does not say whether it counts taxa or their names.
    """
    return len({name.partition(" (")[0] for name in names})
