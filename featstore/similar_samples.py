"""nearest: the samples of a store that are most like an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore import registry
from featstore.datasets.loose_files import open_unlabelled
from featstore.embedding import embed, feature_encoders
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.feed import DECODE_TIMEOUT_S
from featstore.store import FeatureStore
from featstore.suggest import did_you_mean
from featstore.view import View

#: Ids that a mistyped one is compared with.
_COMPARED = 10_000


@dataclass(frozen=True, eq=False)
class Nearest:
    """Samples of a store in the order of their likeness to queries.

    Attributes
    ----------
    features
        What likeness is measured in.
    frame
        Columns query, rank (from 1), id, split, similarity (cosine) and, where the store has
        labels, label; multi-label: names joined by ``, ``.
    n_searched
        Samples that were looked through.
    failed
        Query -> reason, of images that could not be read.
    """

    features: tuple[str, ...]
    frame: pd.DataFrame
    n_searched: int
    failed: Mapping[str, str]


def nearest(
    store: FeatureStore | str | Path,
    images: Any = None,
    *,
    ids: str | Sequence[str] | None = None,
    features: str | Sequence[str] | None = None,
    k: int = 10,
    split: str | None = None,
    target: str | None = None,
    backbones: Mapping[str, str] | None = None,
    engine: str = "torch",
    device: str = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    progress: bool | None = None,
) -> Nearest:
    """Find the samples that are nearest to images, or to other samples, by the cosine.

    Parameters
    ----------
    store
        The store, or its path.
    images
        Queries: as for `featstore.predict`.
    ids
        Queries that are samples of the store, instead; none is its own neighbour.
    features
        One feature, or several side by side; by default the only complete one.
    k
        Neighbours of a query.
    split
        Look through this split only; all samples by default.
    target
        Whose labels are shown; the first by default, if there is one.
    backbones
        Feature -> source of its backbone, where the weights have moved since the extraction.
    engine
        ``"torch"`` or ``"faiss"``, exact; ``"faiss-ivf"`` or ``"faiss-hnsw"``, approximate.
    device
        Of backbones.
    batch_size, workers, decode_timeout, progress
        As for `featstore.extract`.

    Raises
    ------
    FeatureNotFoundError, NotSealedError
        If a feature, id, target or split is not there.
    InvalidInputError
        If there are no queries, or both kinds; k is not between 1 and the number of samples; or
        features were imported, and images are asked about.
    SpecMismatchError, WeightsError
        If a backbone is another one, or not where it was.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if (images is None) == (ids is None):
        raise InvalidInputError("say what to look for: images, or ids of samples, and not both")
    names = asked_features(store, features)
    samples = store.view(names, split=split)
    if ids is not None:
        wanted = [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
        asked = store.view(names, rows=_rows(store, wanted))
        queries, X, itself = asked.ids.tolist(), asked.array(), asked.rows
        failed: dict[str, str] = {}
        if len(queries) < len(wanted):
            missing = next(name for name in wanted if name not in queries)
            raise InvalidInputError(
                f"{missing!r} has no readable image in {' + '.join(names)}, and so no neighbours"
            )
    else:
        _check_k(k, len(samples))
        dataset = open_unlabelled(images)  # before backbones are loaded, which takes seconds
        encoders = feature_encoders(store, names, backbones=backbones, device=device)
        batches = list(
            embed(
                dataset,
                encoders,
                batch_size=batch_size,
                workers=workers,
                decode_timeout=decode_timeout,
                progress=progress,
                label="search",
            )
        )
        queries = [str(name) for batch in batches for name in batch.ids]
        X = np.concatenate([batch.X for batch in batches])
        failed = {name: why for batch in batches for name, why in batch.failed.items()}
        itself = np.full(len(queries), -1)
    # A sample finds itself, and is then left out.
    more = int(np.isin(itself, samples.rows).any())
    _check_k(k, len(samples) - more)
    rows, similarities = _neighbours(samples, X, k + more, engine)
    return Nearest(
        features=tuple(names),
        frame=_frame(store, queries, rows, similarities, itself, k, target),
        n_searched=len(samples),
        failed=failed,
    )


def _check_k(k: int, most: int) -> None:
    if not 1 <= k <= most:
        raise InvalidInputError(f"k must lie between 1 and the {most} samples to find, got {k}")


def asked_features(store: FeatureStore, features: str | Sequence[str] | None) -> list[str]:
    """Return the features that were named, or the only complete one.

    Raises
    ------
    InvalidInputError
        If none was named, and there are none or several.
    """
    if features is not None:
        return [features] if isinstance(features, str) else list(features)
    complete = [name for name in store.features if store.feature(name).sealed]
    if len(complete) != 1:
        raise InvalidInputError(
            f"{store.location} has {len(complete)} complete features; "
            + (f"choose one: {', '.join(complete)}" if complete else "extract one first")
        )
    return complete


def _rows(store: FeatureStore, ids: Sequence[str]) -> NDArray[np.intp]:
    place = {name: row for row, name in enumerate(store.samples.ids.tolist())}
    for name in ids:
        if name not in place:
            # Names that are alike are looked for one by one.
            near = did_you_mean(name, list(place)[:_COMPARED])
            raise FeatureNotFoundError(f"{store.location} has no sample {name!r}. {near}")
    return np.asarray([place[name] for name in ids], np.intp)


def _neighbours(
    samples: View, X: NDArray[np.floating], k: int, engine: str
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Rows of the store, nearest first, and their cosines, shape (n, k)."""
    if not len(X):
        return np.zeros((0, k), np.intp), np.zeros((0, k), np.float32)
    # The search takes labels, as every probe; it does not look at them.
    probe = registry.probe("knn")(k=k, engine=engine)
    probe.fit(samples, np.zeros(len(samples), np.int64))
    places, similarities = probe.kneighbors(X)
    return samples.rows[places], np.minimum(similarities, np.float32(1))


def _frame(
    store: FeatureStore,
    queries: Sequence[str],
    rows: NDArray[np.intp],
    similarities: NDArray[np.float32],
    itself: NDArray[np.intp],
    k: int,
    target: str | None,
) -> pd.DataFrame:
    samples = store.samples
    labels = store.target(target)[1] if target is not None or samples.targets else None
    lines = []
    for query, found, cosines, own in zip(queries, rows, similarities, itself, strict=True):
        kept = np.flatnonzero(found != own)[:k]
        for rank, place in enumerate(kept, 1):
            row = found[place]
            line = {
                "query": query,
                "rank": rank,
                "id": str(samples.ids[row]),
                "split": str(samples.splits[row]),
                "similarity": float(cosines[place]),
            }
            lines.append(line | ({} if labels is None else {"label": labels.name_of(row)}))
    columns = ["query", "rank", "id", "split", "similarity"] + ["label"] * (labels is not None)
    return pd.DataFrame(lines, columns=columns)
