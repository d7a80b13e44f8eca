"""extract: a data set and backbones become a store of features."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

from featstore.backend_choice import choose_backends, put_on
from featstore.backend_trial import trials_frame
from featstore.commits import encode_json
from featstore.corruptions import Corruption
from featstore.crewed_extraction import extract_with_crew
from featstore.dataset import Dataset
from featstore.datasets import open_dataset
from featstore.device_images import DeviceDecoder, decoding_device
from featstore.encoder import Encoder, backend_of
from featstore.encoding_line import ExtractionSettings
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.feature_extraction import Extraction, extract_features, extract_here
from featstore.feature_request import FeatureRequest, feature_requests, load_encoders
from featstore.feed import DECODE_TIMEOUT_S
from featstore.fingerprint import Fingerprint
from featstore.history import record
from featstore.image_store import open_or_create
from featstore.presence import check_shards
from featstore.rank import Rank
from featstore.spec import NumericsChoice, StoredDtype
from featstore.store import FeatureStore
from featstore.transform import Decode
from featstore.workers import Engine, check_engine, named_devices

__all__ = ["Extraction", "extract", "extract_features", "is_done"]


def extract(
    images: str | Path | Dataset | Any,
    backbones: str | Sequence[str],
    out: str | Path,
    *,
    corrupt: str | Corruption | Sequence[str | Corruption] = (),
    transform: Literal["own", "paper"] = "own",
    dtype: StoredDtype = "float16",
    numerics: NumericsChoice = "fp32",
    decode: Decode = "exact",
    device: str = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    pretrained_on: Mapping[str, Sequence[str]] | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    rank: Rank | None = None,
    engine: Engine = "inline",
    processes: int | None = None,
    address: str | None = None,
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
        Precision of the forward pass; ``"exact"`` is ``"fp32"`` by the backbone's own library, and
        ``"fast"`` ``"fp32"`` by the fastest backend that agrees with it, which a trial on some of
        the images finds (`featstore.backend_trial`).
    decode
        ``"exact"``: Pillow's pixels, bit for bit; ``"fast"``, within a level, and ``"dct"``, large
        JPEG files at a reduced scale (`featstore.fast_images`); ``"cuda"``, JPEG files on the
        device (`featstore.device_images`).
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``; with the engine ``"processes"`` also
        several, ``"cuda:0,cuda:1"``, see `featstore.workers.process_devices`.
    batch_size
        Images per batch; halved by itself where the device's memory does not suffice.
    workers
        Decoding threads of each process; the number of its cores by default.
    on_error
        What to do about an unreadable image: stop, or record and exclude the row.
    pretrained_on
        Feature -> names of the data sets that its weights were learned from, a note in its spec
        (and in those of its corrupted copies) for `featstore.cross_domain`.
    decode_timeout
        Seconds after which an image that is still being decoded counts as unreadable.
    rank
        Compute this process's part alone, and leave the others to processes of other ranks.
    engine
        ``"inline"``: in this process.  ``"processes"``: in others on this machine, which are
        replaced when they die; a script must then start it under
        ``if __name__ == "__main__":``.  ``"ray"``: in actors of a Ray cluster.  All give the same
        bits on machines of one kind.
    processes
        How many; by default one for each GPU, or for each machine where none is used.
    address
        Of the Ray cluster; by default ``RAY_ADDRESS``, or the one that runs here; else one is
        started here.
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
    WorkerDiedError
        If processes die one after the other at the same images.
    """
    check_engine(engine, processes, what="an extraction")
    if engine == "inline" and (processes, address) != (None, None):
        raise InvalidInputError("processes= and address= belong to engine='processes' or 'ray'")
    if engine != "inline" and rank is not None:
        raise InvalidInputError(
            f"rank {rank} and engine {engine!r} exclude each other: either ranks divide the work, "
            "or an engine does"
        )
    if engine == "inline" and len(named_devices(device)) > 1:
        raise InvalidInputError(f"devices {device!r} want a process each: engine='processes'")
    decode_device = decoding_device(named_devices(device)[0])
    if decode == "cuda" and engine == "inline":
        DeviceDecoder(decode_device)  # before anything is begun
    dataset = open_dataset(images)
    store = open_or_create(out, dataset, fingerprint)
    requests = feature_requests(
        backbones, corrupt, transform=transform, dtype=dtype, numerics=numerics, decode=decode
    )
    origins = _checked_origins(pretrained_on or {}, requests, store)
    unchanged = tuple(name for name, request in requests.items() if is_done(store, name, request))
    needed = [name for name in requests if name not in unchanged]
    settings = ExtractionSettings(
        corruptions={name: requests[name].corruption for name in needed},
        pretrained_on=origins,
        dtype=dtype,
        batch_size=batch_size,
        workers=workers,
        on_error=on_error,
        decode_timeout=decode_timeout,
        decode_device=decode_device,
    )
    is_here = engine == "inline" or not needed
    # Workers load their own; a trial is made here, for all of them.
    loaded = load_encoders(
        requests,
        needed if is_here or numerics == "fast" else (),
        device=named_devices(device)[0],
    )

    def fill(encoders: Mapping[str, Encoder]) -> Extraction:
        if is_here:
            return extract_here(dataset, encoders, store, settings, rank=rank, progress=progress)
        backends = {name: backend_of(encoder) for name, encoder in encoders.items()}
        return extract_with_crew(
            dataset,
            partial(_load, {name: requests[name] for name in needed}, backends),
            store,
            settings,
            engine=engine,
            processes=processes,
            address=address,
            device=device,
            progress=progress,
        )

    choose = partial(
        choose_backends,
        loaded,
        requests,
        store,
        dataset,
        decode_timeout=decode_timeout,
        decode_device=decode_device,
    )
    encoders, trials = choose()
    if trials:
        lines = {name: list(map(asdict, trial)) for name, trial in trials.items()}
        record(store.folder, "backend trial", features=lines)
    try:
        extraction = fill(encoders)
    except SpecMismatchError:
        # Processes that begin together try for themselves; all go on with the first one's choice.
        others, _ = choose(even_empty=True)
        if [*map(backend_of, others.values())] == [*map(backend_of, encoders.values())]:
            raise
        extraction = fill(others)
    for name in set(needed) - extraction.unfinished.keys():
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
        replaced=extraction.replaced,
        trials=trials_frame(trials) if trials else None,
    )


def _load(
    requests: Mapping[str, FeatureRequest],
    backends: Mapping[str, str | None],
    device: str,
    threads: int,
) -> Mapping[str, Encoder]:
    encoders = load_encoders(requests, requests, device=device, threads=threads)
    return put_on(encoders, backends)


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
