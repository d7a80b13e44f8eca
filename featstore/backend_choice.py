"""Backend choice: each encoder on the backend of what the store has, or of a trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from featstore.backend_trial import TRIAL_IMAGES, BackendLine, BackendTrial
from featstore.dataset import Dataset
from featstore.encoder import Encoder, MultiBackend, backend_of
from featstore.errors import InvalidInputError, UnreadableImageError
from featstore.feature_request import FeatureRequest
from featstore.feed import PixelFeed
from featstore.preparation import Preparation
from featstore.store import FeatureStore


def choose_backends(
    encoders: Mapping[str, Encoder],
    requests: Mapping[str, FeatureRequest],
    store: FeatureStore | None,
    dataset: Dataset,
    *,
    decode_timeout: float,
    decode_device: str = "cuda",
    even_empty: bool = False,
) -> tuple[dict[str, Encoder], dict[str, tuple[BackendLine, ...]]]:
    """Put the encoders of features whose numerics are ``"fast"`` on a backend.

    A feature that was begun goes on with its own backend, and the features of one backbone (of
    clean and of corrupted images) share one.  Where there is none, a trial decides.

    Parameters
    ----------
    encoders
        Of the features that are to be computed; those of one backbone are one object.
    requests
        Of all features.
    store
        Where the features are, or will be; None if there is no store yet.
    dataset
        The images; some are decoded for a trial.
    decode_timeout
        Seconds for each of them.
    decode_device
        Where, if their transform says ``decode="cuda"``.
    even_empty
        Let features count of which no row is committed yet.

    Returns
    -------
    encoders, trials
        An encoder for each feature, and the trials that were made, by feature.

    Raises
    ------
    InvalidInputError
        If a feature was begun by a backend that its encoder does not have.
    MissingDependencyError
        If the package of that backend is not installed.
    UnreadableImageError
        If no image of a trial can be decoded.
    """
    started: dict[tuple[str, str | None], Encoder] = {}
    trials: dict[str, tuple[BackendLine, ...]] = {}
    chosen: dict[str, Encoder] = {}
    for name, encoder in encoders.items():
        request = requests[name]
        if request.fields["numerics"] != "fast" or not isinstance(encoder, MultiBackend):
            chosen[name] = encoder
            continue
        relatives = [n for n, other in requests.items() if other.backbone == request.backbone]
        names = dict.fromkeys([name, request.backbone, *relatives])
        begun = [] if store is None else _begun(store, names, even_empty=even_empty)
        tried = [key for key in started if key[0] == request.backbone]
        if begun:
            key = (request.backbone, begun[0])
            if key not in started:
                started[key] = _on(encoder, begun[0], name)
        elif tried:
            key = tried[0]
        elif not encoder.backends:
            key = (request.backbone, None)
            started[key] = encoder
        else:
            pixels = _some_pixels(
                dataset, encoder, decode_timeout=decode_timeout, decode_device=decode_device
            )
            trial = BackendTrial.run(encoder, pixels)
            trials[name] = trial.lines
            key = (request.backbone, backend_of(trial.encoder))
            started[key] = trial.encoder
        chosen[name] = started[key]
    return chosen, trials


def put_on(
    encoders: Mapping[str, Encoder], backends: Mapping[str, str | None]
) -> dict[str, Encoder]:
    """Put encoders on backends that were chosen elsewhere, each once.

    Parameters
    ----------
    encoders
        By the names of their features.
    backends
        Of each; None, or none, leaves an encoder as it is.

    Raises
    ------
    InvalidInputError, MissingDependencyError
        As `choose_backends`.
    """
    started: dict[tuple[int, str], Encoder] = {}
    placed = {}
    for name, encoder in encoders.items():
        backend = backends.get(name)
        if backend is not None and isinstance(encoder, MultiBackend):
            key = (id(encoder), backend)
            if key not in started:
                started[key] = _on(encoder, backend, name)
            placed[name] = started[key]
        else:
            placed[name] = encoder
    return placed


def _begun(store: FeatureStore, names: Iterable[str], *, even_empty: bool) -> list[str | None]:
    """Say by which backends these features were begun, those that were."""
    infos = [store.feature(name) for name in names if name in store.features]
    return [info.spec.backend for info in infos if even_empty or info.sealed or info.committed_rows]


def _on(encoder: MultiBackend, backend: str | None, name: str) -> Encoder:
    if backend is None:
        return encoder
    if backend not in encoder.backends:
        raise InvalidInputError(
            f"feature {name!r}: its backbone's features in this store were computed by "
            f"{backend!r}, which {encoder.engine} has no way to; it has "
            f"{', '.join(encoder.backends) or 'no other backend'}. Choose the --device that it was "
            "extracted on, or extract it under another name"
        )
    return encoder.backends[backend]()


def _some_pixels(
    dataset: Dataset, encoder: Encoder, *, decode_timeout: float, decode_device: str
) -> NDArray[np.uint8]:
    """Decode images from all over the data set, shape (n, size, size, 3)."""
    preparation = Preparation(encoder.transform)
    n = len(dataset.samples)
    rows = np.unique(np.linspace(0, n - 1, min(n, TRIAL_IMAGES)).astype(int)).tolist()
    pixels: list[NDArray[np.uint8]] = []
    reasons: list[str] = []
    with PixelFeed(
        dataset, [preparation], timeout_s=decode_timeout, decode_device=decode_device
    ) as feed:
        for batch in feed.batches((range(row, row + 1) for row in rows), longest=1):
            if batch.unreadable:
                reasons.extend(batch.unreadable.values())
            else:
                pixels.append(batch.pixels[preparation].copy())
    if not pixels:
        raise UnreadableImageError(f"none of {len(rows)} images for a trial: {reasons[0]}")
    return np.concatenate(pixels)
