"""extract_features: ready-made encoders fill the features of a store, in this process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from featstore.corruptions import Corruption
from featstore.dataset import Dataset
from featstore.encoder import Encoder
from featstore.encoding_line import EncodingLine, ExtractionSettings
from featstore.feed import DECODE_TIMEOUT_S
from featstore.history import record
from featstore.progress import progress_bar
from featstore.rank import Rank
from featstore.sharing import SharedWork
from featstore.spec import StoredDtype
from featstore.store import FeatureStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Extraction:
    """What one call of `extract` did.

    Attributes
    ----------
    store
        The store, with all features sealed.
    computed, unchanged
        Names of the features that were computed or completed, and of those that were whole.
    images
        Images decoded.
    seconds
        Wall time of decoding, encoding and writing.
    excluded
        Rows without a readable image, with the reason.
    unfinished
        Shards that other ranks have not committed yet, by feature; whoever commits the last one
        makes the feature readable.
    replaced
        Workers that died and were replaced.
    trials
        With numerics ``"fast"``, how the backends did that were tried, see
        `featstore.backend_trial.trials_frame`; None if none were.
    """

    store: FeatureStore
    computed: tuple[str, ...]
    unchanged: tuple[str, ...]
    images: int
    seconds: float
    excluded: Mapping[int, str]
    unfinished: Mapping[str, int] = field(default_factory=dict)
    replaced: int = 0
    trials: pd.DataFrame | None = None


def extract_features(
    dataset: Dataset,
    encoders: Mapping[str, Encoder],
    store: FeatureStore,
    *,
    corruptions: Mapping[str, Corruption | None] | None = None,
    dtype: StoredDtype = "float16",
    batch_size: int = 128,
    workers: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    pretrained_on: Mapping[str, tuple[str, ...]] | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    rank: Rank | None = None,
    progress: bool | None = None,
) -> Extraction:
    """Fill the features of ready-made encoders; see `extract` for the arguments.

    `corruptions` has the corruption of each feature's images, by the feature's name.
    Rows are decoded in the store's order, and only where some feature still lacks them.  Processes
    that do the same at once divide the work; see `featstore.sharing.SharedWork`.
    """
    settings = ExtractionSettings(
        corruptions=corruptions or {},
        pretrained_on=pretrained_on or {},
        dtype=dtype,
        batch_size=batch_size,
        workers=workers,
        on_error=on_error,
        decode_timeout=decode_timeout,
    )
    return extract_here(dataset, encoders, store, settings, rank=rank, progress=progress)


def extract_here(
    dataset: Dataset,
    encoders: Mapping[str, Encoder],
    store: FeatureStore,
    settings: ExtractionSettings,
    *,
    rank: Rank | None = None,
    progress: bool | None = None,
) -> Extraction:
    """Fill the features of ready-made encoders; see `extract_features`."""
    started, images = time.perf_counter(), 0
    with EncodingLine(dataset, encoders, store, settings) as line:
        tasks = list(line.tasks.values())
        work = SharedWork(tasks, len(dataset.samples), settings.batch_size, rank=rank)
        with (
            closing(work),
            progress_bar("extract", work.left, unit="images", shown=progress) as advance,
        ):
            while work.left:
                before, images_before = work.left, images
                for rows in line.compute(work.batches()):
                    images += len(rows)
                    advance(len(rows))
                advance(max(before - work.left - (images - images_before), 0))  # done by others
                if work.left and images == images_before:
                    work.wait()
            missing = {n: task.finish(alone=rank is None) for n, task in line.tasks.items()}
    unfinished = {name: shards for name, shards in missing.items() if shards}
    seconds = time.perf_counter() - started
    if tasks:
        record(
            store.folder,
            "extract",
            features=line.engines,
            images=images,
            seconds=round(seconds, 3),
        )
    return Extraction(
        store=store,
        computed=tuple(name for name in line.tasks if name not in unfinished),
        unchanged=tuple(name for name in line.writers if name not in line.tasks),
        images=images,
        seconds=seconds,
        excluded=line.excluded,
        unfinished=unfinished,
    )
