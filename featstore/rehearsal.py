"""Rehearsal: what an extraction would do, and what space and time that takes; without writing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from featstore.backend_choice import choose_backends
from featstore.corruptions import Corruption
from featstore.dataset import Dataset
from featstore.datasets import open_dataset
from featstore.device_images import decoding_device
from featstore.encoder import Encoder, backend_of
from featstore.errors import SpecMismatchError
from featstore.extraction import is_done
from featstore.feature import FeatureInfo
from featstore.feature_request import FeatureRequest, feature_requests, load_encoders
from featstore.feature_task import encode_in_pieces
from featstore.feed import DECODE_TIMEOUT_S, PixelFeed
from featstore.fingerprint import Fingerprint
from featstore.image_store import check_images
from featstore.location import open_folder
from featstore.micro_batch import MicroBatch
from featstore.preparation import Preparation
from featstore.shards import ShardLayout
from featstore.spec import FeatureSpec, NumericsChoice, StoredDtype
from featstore.store import FeatureStore
from featstore.transform import Decode
from featstore.workers import named_devices
from featstore.writer import describe_mismatch

if TYPE_CHECKING:
    import pandas as pd

#: Seconds of the trial.
TRIAL_S = 10.0


@dataclass(frozen=True, eq=False)
class Rehearsal:
    """What an extraction would do.

    Attributes
    ----------
    rows
        Images of the data set.
    features
        A line per feature: ``feature``, ``dim``, ``dtype``, ``engine`` (None where the feature is
        complete), ``rows_left``, ``nbytes`` (of the whole feature on disk).
    images
        Images that are left to be decoded.
    nbytes
        That would be added to the disk.
    images_per_second
        Of the trial; NaN if nothing is left to do.
    seconds
        That the extraction would take at this rate.
    trial_images
        Images of the trial.
    unreadable
        Those of them that cannot be decoded, with the reason.
    """

    rows: int
    features: pd.DataFrame
    images: int
    nbytes: int
    images_per_second: float
    seconds: float
    trial_images: int
    unreadable: Mapping[int, str]


def rehearse(
    images: str | Path | Dataset,
    backbones: str | list[str] | tuple[str, ...],
    out: str | Path,
    *,
    corrupt: str | Corruption | list[str | Corruption] | tuple[str, ...] = (),
    transform: Literal["own", "paper"] = "own",
    dtype: StoredDtype = "float16",
    numerics: NumericsChoice = "fp32",
    decode: Decode = "exact",
    device: str = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    fingerprint: Fingerprint = "time",
    trial_s: float = TRIAL_S,
) -> Rehearsal:
    """Say what `featstore.extraction.extract` would do with these arguments.

    Images from all over the data set are decoded and encoded for a few seconds.

    Parameters
    ----------
    images, backbones, out, corrupt, transform, dtype, numerics, decode, device
        As for `extract`.
    batch_size, workers, decode_timeout, fingerprint
        As for `extract`.
    trial_s
        Seconds after which no further batch is begun.

    Raises
    ------
    InvalidInputError
        As `extract`: if the images do not fit the store's samples, or features share a name.
    SpecMismatchError
        If a feature of this name exists and was made in another way.
    """
    import pandas as pd

    dataset = open_dataset(images)
    requests = feature_requests(
        backbones, corrupt, transform=transform, dtype=dtype, numerics=numerics, decode=decode
    )
    store = _existing(out, dataset, fingerprint)
    known = {} if store is None else {n: store.feature(n) for n in requests if n in store.features}
    done = [name for name in known if store is not None and is_done(store, name, requests[name])]
    needed = [name for name in requests if name not in done]
    first_device = named_devices(device)[0]
    encoders, _ = choose_backends(
        load_encoders(requests, needed, device=first_device),
        requests,
        store,
        dataset,
        decode_timeout=decode_timeout,
        decode_device=decoding_device(first_device),
    )
    rows = len(dataset.samples)
    lines = []
    for name, request in requests.items():
        encoder, info = encoders.get(name), known.get(name)
        if encoder is not None and info is not None:
            _check_spec(info, encoder, request, dtype, dataset)
        dim = encoder.spec.dim if encoder is not None else known[name].layout.dim
        layout = ShardLayout.choose(rows, dim, dtype) if info is None else info.layout
        lines.append(
            {
                "feature": name,
                "dim": dim,
                "dtype": dtype,
                "engine": None if encoder is None else encoder.engine,
                "rows_left": rows - (0 if info is None else info.committed_rows),
                "nbytes": sum(layout.file_bytes(shard) for shard in range(layout.n_shards)),
            }
        )
    frame = pd.DataFrame(lines)
    unfinished = frame[frame["rows_left"] > 0]
    left = int(frame["rows_left"].max())
    encoders = {name: encoders[name] for name in unfinished["feature"]}
    preparations = {
        name: Preparation(encoder.transform, requests[name].corruption)
        for name, encoder in encoders.items()
    }
    feed = PixelFeed(
        dataset,
        list(preparations.values()),
        workers=workers,
        timeout_s=decode_timeout,
        decode_device=decoding_device(first_device),
    )
    rate, tried = float("nan"), 0
    unreadable: dict[int, str] = {}
    if left:
        with feed:
            rate, tried, unreadable = _trial(
                feed, encoders, preparations, rows, batch_size=batch_size, trial_s=trial_s
            )
    share_left = unfinished["rows_left"] / rows
    return Rehearsal(
        rows=rows,
        features=frame,
        images=left,
        nbytes=int((unfinished["nbytes"] * share_left).sum()),
        images_per_second=rate,
        seconds=left / rate if left else 0.0,
        trial_images=tried,
        unreadable=unreadable,
    )


def _existing(
    location: str | Path, dataset: Dataset, fingerprint: Fingerprint
) -> FeatureStore | None:
    """Open the store if there is one that is not empty, and check that the images are its own."""
    folder = open_folder(location)
    if folder.size("zarr.json") is None and folder.is_free():
        return None
    store = FeatureStore.open(location)
    if store.is_empty:
        return None
    check_images(store, dataset, fingerprint)
    return store


def _check_spec(
    info: FeatureInfo, encoder: Encoder, request: FeatureRequest, dtype: StoredDtype, data: Dataset
) -> None:
    asked = FeatureSpec(
        backbone=encoder.spec,
        transform=encoder.transform,
        dtype=dtype,
        numerics=encoder.numerics,
        # Checked with the images; marks may have been made in another way here.
        samples_digest=info.spec.samples_digest,
        corruption=request.corruption,
        backend=backend_of(encoder),
    )
    if asked.digest != info.spec.digest and info.committed_rows:
        raise SpecMismatchError(describe_mismatch(info.name, info.spec, asked))


def _trial(
    feed: PixelFeed,
    encoders: Mapping[str, Encoder],
    preparations: Mapping[str, Preparation],
    rows: int,
    *,
    batch_size: int,
    trial_s: float,
) -> tuple[float, int, dict[int, str]]:
    """Run batches for a while; returns images per second, images, and what was unreadable.

    The clock of the rate starts with the second batch: the first one waits for its images.
    """
    began = time.perf_counter()

    def batches() -> Iterator[range]:
        starts = range(0, rows, batch_size)
        for i in np.random.default_rng(0).permutation(len(starts)).tolist():
            if time.perf_counter() - began > trial_s:
                return
            yield range(starts[i], min(starts[i] + batch_size, rows))

    sizes, ends = [], []
    unreadable: dict[int, str] = {}
    micro_batch = MicroBatch(batch_size)
    for batch in feed.batches(batches(), longest=batch_size):
        unreadable.update(batch.unreadable)
        for name, encoder in encoders.items():
            pixels = batch.pixels[preparations[name]]
            micro_batch.run(partial(encode_in_pieces, encoder, pixels))
        sizes.append(len(batch.rows))
        ends.append(time.perf_counter())
    if len(ends) > 1:
        return sum(sizes[1:]) / (ends[-1] - ends[0]), sum(sizes), unreadable
    return sizes[0] / (ends[0] - began), sizes[0], unreadable
