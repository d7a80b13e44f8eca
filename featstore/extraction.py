"""extract: a data set and backbones become a store of features."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from featstore.commits import encode_json
from featstore.corruptions import Corruption
from featstore.dataset import Dataset
from featstore.datasets import open_dataset
from featstore.encoder import Encoder
from featstore.errors import InvalidInputError, NotAStoreError, UnreadableImageError
from featstore.feature_request import FeatureRequest, feature_requests, load_encoders
from featstore.feature_task import FeatureTask
from featstore.feed import DECODE_TIMEOUT_S, PixelFeed
from featstore.fingerprint import Fingerprint, changed_since, fingerprint_of, marked
from featstore.history import record
from featstore.location import open_folder
from featstore.preparation import Preparation
from featstore.presence import check_shards
from featstore.progress import progress_bar
from featstore.rank import Rank
from featstore.sharing import SharedWork
from featstore.spec import FeatureSpec, Numerics, StoredDtype
from featstore.store import FeatureStore


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
    """

    store: FeatureStore
    computed: tuple[str, ...]
    unchanged: tuple[str, ...]
    images: int
    seconds: float
    excluded: Mapping[int, str]
    unfinished: Mapping[str, int] = field(default_factory=dict)


def extract(
    images: str | Path | Dataset | Any,
    backbones: str | Sequence[str],
    out: str | Path,
    *,
    corrupt: str | Corruption | Sequence[str | Corruption] = (),
    transform: Literal["own", "paper"] = "own",
    dtype: StoredDtype = "float16",
    numerics: Numerics = "fp32",
    device: str = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    pretrained_on: Mapping[str, Sequence[str]] | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    rank: Rank | None = None,
    fingerprint: Fingerprint = "time",
    progress: bool | None = None,
) -> Extraction:
    """Turn images into embeddings, once.

    Calling it again with the same arguments does nothing; after an interruption it goes on
    where it stopped, and the store ends up the same, bit for bit.

    Parameters
    ----------
    images
        A path or URL, or ``KIND:PLACE?key=value`` (docs/data-sources.md); any `Dataset`; or a
        map-style data set of PyTorch.
    backbones
        Sources such as ``"torchvision/resnet50"`` or ``"NAME=onnx:model.onnx#output"``; all of
        them see every image in one decoding pass.
    out
        The store; created, or extended by new features.
    corrupt
        Corruptions of the decoded images, such as ``"jpeg10"`` or ``"paper"``, see
        `featstore.corruptions`; every backbone has a feature for each, named
        ``resnet50-jpeg10``.  Clean images need ``"clean"`` then, which keeps the name.
    transform
        ``"own"``: each backbone's evaluation transform.  ``"paper"``: centre crop of 87.5 % of
        the short side (Cole et al. 2022, C.2).
    dtype
        Stored precision.
    numerics
        Precision of the forward pass.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    batch_size
        Images per batch; halved by itself where the device's memory does not suffice.
    workers
        Decoding threads; the number of cores by default.
    on_error
        What to do about an unreadable image: stop, or record and exclude the row.
    pretrained_on
        Feature -> names of the data sets that its weights were learned from, a note in its spec
        (and in those of its corrupted copies) for `featstore.cross_domain`.
    decode_timeout
        Seconds after which an image that is still being decoded counts as unreadable.
    rank
        Compute this process's part alone, and leave the others to processes of other ranks.
    fingerprint
        How the images of an existing store are recognised: by ``"time"`` (sizes, and no file
        changed after the newest of them), by ``"size"`` alone, or, in a store that was begun so,
        by their ``"content"``.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If the images do not fit the store's samples, or two features would share a name.
    SpecMismatchError
        If a feature of this name exists and was made in another way.
    UnreadableImageError
        If an image cannot be decoded and `on_error` is ``"raise"``.
    StorageError
        If the disk refuses; what was committed is kept.
    """
    dataset = open_dataset(images)
    store = _open_or_create(out, dataset, fingerprint)
    requests = feature_requests(
        backbones, corrupt, transform=transform, dtype=dtype, numerics=numerics
    )
    origins = _checked_origins(pretrained_on or {}, requests, store)
    unchanged = tuple(name for name, request in requests.items() if is_done(store, name, request))
    needed = [name for name in requests if name not in unchanged]
    encoders = load_encoders(requests, needed, device=device)
    extraction = extract_features(
        dataset,
        encoders,
        store,
        corruptions={name: requests[name].corruption for name in encoders},
        dtype=dtype,
        batch_size=batch_size,
        workers=workers,
        on_error=on_error,
        pretrained_on=origins,
        decode_timeout=decode_timeout,
        rank=rank,
        progress=progress,
    )
    for name in encoders.keys() - extraction.unfinished.keys():
        store.feature(name).remember(requests[name].fields)
    excluded = {row: why for name in requests for row, why in store.feature(name).excluded.items()}
    return Extraction(
        store=store,
        computed=extraction.computed,
        unchanged=unchanged + extraction.unchanged,
        images=extraction.images,
        seconds=extraction.seconds,
        excluded=excluded,
        unfinished=extraction.unfinished,
    )


def _open_or_create(
    location: str | Path, dataset: Dataset, fingerprint: Fingerprint
) -> FeatureStore:
    folder = open_folder(location)
    if folder.size("zarr.json") is None and folder.is_free():
        images = marked(dataset, fingerprint)
        # Another process may do the same at this moment; then both go on with one store.
        with suppress(NotAStoreError):
            return FeatureStore.create(location, images.samples, source=images.source)
    store = FeatureStore.open(location)
    try:
        check_images(store, dataset, fingerprint)
    except InvalidInputError:
        if not store.is_empty:
            raise
        # An attempt that failed before it computed anything pins nobody to its samples.
        store.folder.remove()
        images = marked(dataset, fingerprint)
        return FeatureStore.create(location, images.samples, source=images.source)
    return store


def _checked_origins(
    pretrained_on: Mapping[str, Sequence[str]],
    requests: Mapping[str, FeatureRequest],
    store: FeatureStore,
) -> dict[str, tuple[str, ...]]:
    """Check what was said of pretraining before anything is computed.

    It is said of a backbone's name, and holds for each of its features.
    """
    bases = {name: request.backbone for name, request in requests.items()}
    for name, datasets in pretrained_on.items():
        if name not in bases.values() or isinstance(datasets, str) or not all(datasets):
            known = next(iter(bases.values()))
            raise InvalidInputError(
                f"pretrained_on maps features to lists of data sets, e.g. {{{known!r}: "
                f"['imagenet']}}; got {name!r}: {datasets!r}"
            )
    origins = {
        name: tuple(pretrained_on[base]) for name, base in bases.items() if base in pretrained_on
    }
    for name, datasets in origins.items():
        if name in store.features:
            told = store.feature(name).spec.backbone.pretrained_on
            if told != datasets:
                raise InvalidInputError(
                    f"{name!r} is stored already and says {', '.join(told) or 'nothing'} of its "
                    "pretraining; tell `featstore cross-domain --pretrained-on` instead"
                )
    return origins


def check_images(store: FeatureStore, dataset: Dataset, fingerprint: Fingerprint) -> None:
    """Refuse images that are not those the store was extracted from.

    Parameters
    ----------
    store
        Whose samples, and way to mark them, count.
    dataset
        The images as they are now.
    fingerprint
        ``"size"`` passes over times that have changed.

    Raises
    ------
    InvalidInputError
        If ids, content, labels or splits differ.
    """
    way = fingerprint_of(store.attributes["source"])
    if fingerprint == "content" and way != "content":
        raise InvalidInputError(
            f"{store.location} was extracted without --hash and knows the sizes of its images, not "
            "their content; extract into a new store"
        )
    now = marked(dataset, "content") if way == "content" else dataset
    differences = store.samples.differences(now.samples)
    if differences:
        raise InvalidInputError(
            f"{store.location} was extracted from other samples: {'; '.join(differences)}. Extract "
            "into a new store, or restore the images and labels."
        )
    if way == "time" and fingerprint == "time":
        changed = changed_since(dataset, store.attributes["source"])
        if changed:
            raise InvalidInputError(
                f"{len(changed)} of {len(store.samples)} images were changed after "
                f"{store.location} was begun, e.g. {changed[0]}, though their sizes are the same. "
                "Extract into a new store; or, if these are copies of the same images, go on with "
                "--ignore-times"
            )


def is_done(store: FeatureStore, name: str, request: FeatureRequest) -> bool:
    """Whether the sealed feature came from exactly this request.

    Sparing the check the loading of weights makes a repeated command instant; the request
    holds the library's version or the weight file's size and time, so that it cannot hide a
    change.
    """
    if name not in store.features:
        return False
    info = store.feature(name)
    if not info.sealed or info.request != json.loads(encode_json(request.fields)):
        return False
    check_shards(info.folder, info.layout)
    return True


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
    if batch_size < 1:
        raise InvalidInputError(f"a batch needs at least 1 image, got batch_size={batch_size}")
    preparations = {
        name: Preparation(encoder.transform, (corruptions or {}).get(name))
        for name, encoder in encoders.items()
    }
    origins = pretrained_on or {}
    writers = {
        name: store.writer(
            name,
            FeatureSpec(
                backbone=dataclasses.replace(encoder.spec, pretrained_on=origins.get(name, ())),
                transform=encoder.transform,
                dtype=dtype,
                numerics=encoder.numerics,
                samples_digest=store.samples.digest,
                corruption=preparations[name].corruption,
            ),
        )
        for name, encoder in encoders.items()
    }
    tasks = {
        name: FeatureTask(
            encoders[name],
            writer,
            preparations[name],
            ids=dataset.samples.ids,
            batch_size=batch_size,
        )
        for name, writer in writers.items()
        if not writer.sealed
    }
    work = SharedWork(list(tasks.values()), len(dataset.samples), batch_size, rank=rank)
    prepared = [task.preparation for task in tasks.values()]
    started, images = time.perf_counter(), 0
    excluded: dict[int, str] = {}
    with (
        closing(work),
        progress_bar("extract", work.left, unit="images", shown=progress) as advance,
        PixelFeed(dataset, prepared, workers=workers, timeout_s=decode_timeout) as feed,
    ):
        while work.left:
            before, images_before = work.left, images
            for batch in feed.batches(work.batches(), longest=batch_size):
                if batch.unreadable and on_error == "raise":
                    _refuse(batch.unreadable)
                excluded.update(batch.unreadable)
                for task in tasks.values():
                    task.take(batch)
                images += len(batch.rows)
                advance(len(batch.rows))
            advance(max(before - work.left - (images - images_before), 0))  # done by others
            if work.left and images == images_before:
                work.wait()
        missing = {name: task.finish(alone=rank is None) for name, task in tasks.items()}
    unfinished = {name: shards for name, shards in missing.items() if shards}
    seconds = time.perf_counter() - started
    if tasks:
        record(
            store.folder,
            "extract",
            features={name: task.encoder.engine for name, task in tasks.items()},
            images=images,
            seconds=round(seconds, 3),
        )
    return Extraction(
        store=store,
        computed=tuple(name for name in tasks if name not in unfinished),
        unchanged=tuple(name for name in writers if name not in tasks),
        images=images,
        seconds=seconds,
        excluded=excluded,
        unfinished=unfinished,
    )


def _refuse(unreadable: Mapping[int, str]) -> None:
    first = next(iter(unreadable.values()))
    more = f" ({len(unreadable) - 1} more in this batch)" if len(unreadable) > 1 else ""
    raise UnreadableImageError(
        f"{first}{more}; repair or remove it, or exclude such rows with --on-error skip"
    )
