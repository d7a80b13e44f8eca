"""duplicates: images of a store that features show to be nearly the same, and what they matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.leak_effect import leak_effect
from featstore.analysis.near_duplicates import near_duplicates
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.run import ProbeRun
from featstore.samples import Target
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False, repr=False)
class Duplicates(Displayed):
    """Near-duplicates between two splits of a store, or within one.

    Attributes
    ----------
    reference, searched
        The splits: of each row of `searched`, rows of `reference` are looked for.
    pairs
        Columns id, duplicate_of (an id of the reference), similarity, and with a target label,
        label_of_duplicate and agree (whether the two are equal; missing where one has none).  The
        nearest pair comes first; a pair within one split is there once.
    nearest
        Columns id, similarity: of every row that was searched for, to its nearest.
    within
        Similarity of rows of the reference to their nearest other one; a sample of 4,096 at most.
    threshold, suggested
        From which similarity on pairs are listed, and what the data suggest, see
        `featstore.analysis.suggested_threshold`.
    n_reference, n_searched
        Rows.
    capped
        Rows searched for that may have more duplicates than are listed.
    """

    reference: str
    searched: str
    pairs: pd.DataFrame
    nearest: pd.DataFrame
    within: NDArray[np.float32]
    threshold: float
    suggested: float
    n_reference: int
    n_searched: int
    capped: int

    @property
    def ids(self) -> list[str]:
        """Rows searched for that have a duplicate; of a pair within one split the later row."""
        return list(dict.fromkeys(self.pairs["id"]))

    @property
    def share(self) -> float:
        """Share of the rows searched for that have a duplicate."""
        return len(self.ids) / self.n_searched

    @property
    def similarities(self) -> pd.DataFrame:
        """Columns rows and similarity: within the reference and, last, of the rows searched for."""
        frames = [pd.DataFrame({"similarity": self.within}).assign(rows=f"within {self.reference}")]
        if self.searched != self.reference:
            name = f"{self.searched} to {self.reference}"
            frames.append(self.nearest[["similarity"]].assign(rows=name))
        return pd.concat(frames, ignore_index=True)[["rows", "similarity"]]

    def effect(self, run: ProbeRun, *, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
        """Metrics of a run with and without the rows that have duplicates.

        See `featstore.analysis.leak_effect`.  Duplicates are of the whole reference split, also
        where the run was trained on a subset of it.

        Raises
        ------
        InvalidInputError
            If the run does not report on the split that was searched for, or is trained on others
            than the reference.
        """
        config = run.config
        trained = config.train_split
        known = trained == self.reference or trained.startswith(f"{self.reference}+")
        if config.test_split != self.searched or config.nested or not known:
            raise InvalidInputError(
                f"{run.name} is trained on {trained} and tested on {config.tested_on}; the "
                f"duplicates are of {self.searched} in {self.reference}"
            )
        return leak_effect(run.predictions, self.ids, n_boot=n_boot, seed=seed)


def duplicates(
    store: FeatureStore | str | Path,
    features: str | Sequence[str],
    *,
    reference: str = "train",
    searched: str | None = "test",
    target: str | None = None,
    threshold: float | None = None,
    k: int = 20,
    device: str = "cpu",
    max_memory: int | str | None = None,
) -> Duplicates:
    """Find images of one split that are nearly images of another, or of the same.

    Parameters
    ----------
    store
        The store, or its path.
    features
        One feature, or several that are fused.  What counts as the same is what they see as the
        same.
    reference
        Split to search in.
    searched
        Split whose rows are searched for; `reference` or None for pairs within it.
    target
        Whose labels are shown beside the pairs; the first by default, if there is one.
    threshold
        Least cosine of a pair; by default the one suggested, or 0.95 if there is none.
    k
        Duplicates listed for one row, at most.
    device, max_memory
        Of the search.

    Returns
    -------
    duplicates
        Pairs, and how near nearest neighbours are in general.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, target or split is not there or not finished.
    InvalidInputError
        If the threshold is not in (0, 1], or values are missing or infinite.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    X = store.view(features, split=reference)
    within = searched is None or searched == reference
    Y = X if within else store.view(features, split=searched)
    if not len(X) or not len(Y):
        raise InvalidInputError(
            f"{reference if not len(X) else searched} has no rows with readable images"
        )
    found = near_duplicates(
        X,
        None if within else Y,
        threshold=threshold,
        k=k,
        device=device,
        max_memory=max_memory,
    )
    pairs = pd.DataFrame(
        {
            "id": Y.ids[found.queries].astype(object),
            "duplicate_of": X.ids[found.rows].astype(object),
            "similarity": found.similarities.astype(np.float64),
        }
    )
    if target is not None or store.samples.targets:
        _, labels = store.target(target)
        pairs = pairs.assign(**_labels(labels, Y.rows[found.queries], X.rows[found.rows]))
    return Duplicates(
        reference=reference,
        searched=reference if within else str(searched),
        pairs=pairs,
        nearest=pd.DataFrame(
            {"id": Y.ids.astype(object), "similarity": found.nearest.astype(np.float64)}
        ),
        within=found.within,
        threshold=found.threshold,
        suggested=found.suggested,
        n_reference=len(X),
        n_searched=len(Y),
        capped=found.capped,
    )


def _labels(target: Target, rows: NDArray[np.intp], others: NDArray[np.intp]) -> dict[str, Any]:
    """Labels of pairs of rows of a store, and whether they agree."""
    agree = target.codes[rows] == target.codes[others]
    if target.kind == "multi":
        agree = agree.all(axis=1)
    known = target.labelled[rows] & target.labelled[others]
    return {
        "label": [target.name_of(row) for row in rows],
        "label_of_duplicate": [target.name_of(row) for row in others],
        "agree": [bool(same) if sure else None for same, sure in zip(agree, known, strict=True)],
    }
