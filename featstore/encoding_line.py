"""EncodingLine: where batches of images become rows of features, one after the other."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from featstore.corruptions import Corruption
from featstore.dataset import Dataset
from featstore.encoder import Encoder, backend_of, overlapping
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.feature_task import FeatureTask
from featstore.feed import DECODE_TIMEOUT_S, PixelFeed
from featstore.preparation import Preparation
from featstore.spec import FeatureSpec, StoredDtype
from featstore.store import FeatureStore


@dataclass(frozen=True)
class ExtractionSettings:
    """What `featstore.extraction.extract` was told of how to go about it; see there.

    Attributes
    ----------
    corruptions, pretrained_on
        Of each feature, by its name.
    dtype, batch_size, workers, on_error, decode_timeout
        As there.
    decode_device
        Where images are decoded whose transforms say ``decode="cuda"``.
    """

    corruptions: Mapping[str, Corruption | None] = field(default_factory=dict)
    pretrained_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dtype: StoredDtype = "float16"
    batch_size: int = 128
    workers: int | None = None
    on_error: Literal["raise", "skip"] = "raise"
    decode_timeout: float = DECODE_TIMEOUT_S
    decode_device: str = "cuda"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InvalidInputError(
                f"a batch needs at least 1 image, got batch_size={self.batch_size}"
            )


class EncodingLine:
    """Decodes ahead in threads, encodes, and commits full shards.

    Parameters
    ----------
    dataset
        The images.
    encoders
        By the names of their features, which are created in the store unless they exist.
    store
        Where features go.
    settings
        How.

    Attributes
    ----------
    writers
        Of all features.
    tasks
        Of those that are not complete.
    excluded
        Rows without a readable image, with the reason.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoders: Mapping[str, Encoder],
        store: FeatureStore,
        settings: ExtractionSettings,
    ) -> None:
        self._settings = settings
        self.excluded: dict[int, str] = {}
        preparations = {
            name: Preparation(encoder.transform, settings.corruptions.get(name))
            for name, encoder in encoders.items()
        }
        self.writers = {
            name: store.writer(
                name,
                FeatureSpec(
                    backbone=dataclasses.replace(
                        encoder.spec, pretrained_on=settings.pretrained_on.get(name, ())
                    ),
                    transform=encoder.transform,
                    dtype=settings.dtype,
                    numerics=encoder.numerics,
                    samples_digest=store.samples.digest,
                    corruption=preparations[name].corruption,
                    backend=backend_of(encoder),
                ),
            )
            for name, encoder in encoders.items()
        }
        self.tasks = {
            name: FeatureTask(
                encoders[name],
                writer,
                preparations[name],
                ids=dataset.samples.ids,
                batch_size=settings.batch_size,
            )
            for name, writer in self.writers.items()
            if not writer.sealed
        }
        devices = [one for task in self.tasks.values() if (one := overlapping(task.encoder))]
        self._ahead = max((device.ahead for device in devices), default=0)
        self._feed = PixelFeed(
            dataset,
            [task.preparation for task in self.tasks.values()],
            workers=settings.workers,
            held=self._ahead,
            buffer=devices[0].pixel_buffer if devices else None,
            timeout_s=settings.decode_timeout,
            decode_device=settings.decode_device,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._feed.__exit__(kind, error, trace)

    @property
    def engines(self) -> dict[str, str]:
        """What computes each feature that is not complete; provenance only."""
        return {name: task.encoder.engine for name, task in self.tasks.items()}

    def compute(self, batches: Iterable[range]) -> Iterator[range]:
        """Compute batches of claimed rows in order, and yield each when it is encoded.

        Where a device computes while this process goes on, a batch is begun before the features of
        the one before are taken: the device always has something to do.

        Parameters
        ----------
        batches
            None crosses the end of a shard.  As many are asked for ahead as are being decoded.

        Raises
        ------
        UnreadableImageError
            If an image cannot be decoded, unless such rows are to be skipped.
        InvalidInputError, OutOfMemoryError, StorageError
            See `featstore.feature_task.FeatureTask.begin`.
        """
        under_way: deque[tuple[range, list[Callable[[], None]]]] = deque()
        for batch in self._feed.batches(batches, longest=self._settings.batch_size):
            if batch.unreadable and self._settings.on_error == "raise":
                yield from _taken(under_way, left=0)
                raise _unreadable(batch.unreadable)
            self.excluded.update(batch.unreadable)
            begun = [task.begin(batch) for task in self.tasks.values()]
            under_way.append((batch.rows, begun))
            yield from _taken(under_way, left=self._ahead)
        yield from _taken(under_way, left=0)


def _taken(
    under_way: deque[tuple[range, list[Callable[[], None]]]], *, left: int
) -> Iterator[range]:
    """Take the features of batches that were begun, the oldest first, until so many are left."""
    while len(under_way) > left:
        rows, begun = under_way.popleft()
        for take in begun:
            take()
        yield rows


def _unreadable(reasons: Mapping[int, str]) -> UnreadableImageError:
    first = next(iter(reasons.values()))
    more = f" ({len(reasons) - 1} more in this batch)" if len(reasons) > 1 else ""
    return UnreadableImageError(
        f"{first}{more}; repair or remove it, or exclude such rows with --on-error skip"
    )
