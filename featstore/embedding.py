"""embed: new images through the backbones of stored features, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featstore.dataset import Dataset
from featstore.errors import InvalidInputError
from featstore.feature_encoder import FeatureEncoder
from featstore.feed import DECODE_TIMEOUT_S, PixelFeed
from featstore.finite import finite_rows
from featstore.micro_batch import MicroBatch
from featstore.progress import progress_bar
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class EmbeddedBatch:
    """Features of some images.

    Attributes
    ----------
    ids
        Of the images that could be read, shape (m,).
    X
        Their features in the stored precision, blocks side by side, shape (m, d).
    failed
        Id -> reason, of images that could not be read, or whose features are no numbers.
    """

    ids: NDArray[np.str_]
    X: NDArray[np.floating]
    failed: Mapping[str, str]


def feature_encoders(
    store: FeatureStore,
    features: Sequence[str],
    *,
    backbones: Mapping[str, str] | None = None,
    device: str = "auto",
) -> list[FeatureEncoder]:
    """Load the backbones of stored features.

    Parameters
    ----------
    store
        Where the features are.
    features
        Their names.
    backbones
        Feature -> where its backbone is by now, for those that have moved.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    InvalidInputError
        If `backbones` names another feature; and as `FeatureEncoder.of`.
    """
    moved = dict(backbones or {})
    unknown = [name for name in moved if name not in features]
    if unknown:
        raise InvalidInputError(
            f"backbones are given for {', '.join(unknown)}; the features needed are "
            f"{', '.join(features)}"
        )
    return [
        FeatureEncoder.of(store.feature(name), source=moved.get(name), device=device)
        for name in features
    ]


def embed(
    dataset: Dataset,
    encoders: Sequence[FeatureEncoder],
    *,
    batch_size: int = 128,
    workers: int | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    progress: bool | None = None,
    label: str = "embed",
) -> Iterator[EmbeddedBatch]:
    """Decode each image once, and encode it with every backbone; see `featstore.extract`.

    Parameters
    ----------
    dataset
        The images.
    encoders
        Whose features are put side by side, in this order.
    batch_size, workers, decode_timeout, progress
        As for `featstore.extract`.
    label
        Of the progress bar.

    Yields
    ------
    batch
        In the order of the data set; images that fail are left out and named.
    """
    if batch_size < 1:
        raise InvalidInputError(f"a batch needs at least 1 image, got batch_size={batch_size}")
    n, ids = len(dataset.samples), dataset.samples.ids
    chunks = (range(start, min(start + batch_size, n)) for start in range(0, n, batch_size))
    sizes = [MicroBatch(batch_size) for _ in encoders]
    preparations = [one.preparation for one in encoders]
    with (
        progress_bar(label, n, unit="images", shown=progress) as advance,
        PixelFeed(dataset, preparations, workers=workers, timeout_s=decode_timeout) as feed,
    ):
        for batch in feed.batches(chunks, longest=min(batch_size, max(n, 1))):
            failed = {str(ids[row]): why for row, why in batch.unreadable.items()}
            read = np.asarray([row not in batch.unreadable for row in batch.rows])
            rows = np.asarray(batch.rows)[read]
            blocks = [
                one.encode(batch.pixels[preparation], size)[read]
                for one, preparation, size in zip(encoders, preparations, sizes, strict=True)
            ]
            finite = np.ones(len(rows), bool)
            for one, block in zip(encoders, blocks, strict=True):
                good = finite_rows(np.ascontiguousarray(block))
                for row in rows[finite & ~good]:
                    failed[str(ids[row])] = (
                        f"cannot use image {str(ids[row])!r}: its feature {one.name!r} is NaN, "
                        f"infinite or too large for {one.spec.dtype}"
                    )
                finite &= good
            X = blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)
            advance(len(batch.rows))
            yield EmbeddedBatch(ids[rows[finite]], X[finite], failed)
