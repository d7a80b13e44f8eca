"""predict: what a stored run says of images that are in no store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.analysis.temperature import scores_at
from featstore.datasets.loose_files import open_unlabelled
from featstore.embedding import embed, feature_encoders
from featstore.errors import InvalidInputError, SpecMismatchError
from featstore.feature_encoder import FeatureEncoder
from featstore.feed import DECODE_TIMEOUT_S
from featstore.run import ProbeRun
from featstore.run_classifier import RunClassifier
from featstore.store import FeatureStore
from featstore.thresholds import HALF


@dataclass(frozen=True, eq=False)
class ImagePredictions:
    """What a run says of images.

    Attributes
    ----------
    run
        Its name.
    ids
        Of the images that could be read, shape (n,).
    classes
        Names of all classes of the target, length c.
    scores
        The probe's probabilities, shape (n, c), float32: of one class per image they sum to 1, of
        a multi-label run each is that of one class.  Classes without a training row have 0.
    thresholds
        Of a multi-label run: probability from which on each class is called present, shape (c,).
    temperature
        That the probabilities were brought to; 1 leaves them as the probe gave them.
    probe_from
        Whether the weights that the run keeps spoke, or the probe fitted again.
    failed
        Id -> reason, of images that could not be read.
    """

    run: str
    ids: NDArray[np.str_]
    classes: tuple[str, ...]
    scores: NDArray[np.float32]
    thresholds: NDArray[np.float32] | None
    temperature: float
    probe_from: Literal["stored weights", "fitted again"]
    failed: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.ids)

    def frame(self, top: int = 1) -> pd.DataFrame:
        """Return the most probable classes of every image.

        Parameters
        ----------
        top
            Classes of an image, at most; of equally probable ones the earlier class comes first.

        Returns
        -------
        frame
            Columns id, rank (from 1), class, probability; of a multi-label run also present,
            whether the probability reaches the threshold of the class.

        Raises
        ------
        InvalidInputError
            If `top` is below 1.
        """
        if top < 1:
            raise InvalidInputError(f"top must be at least 1 class, got {top}")
        top = min(top, len(self.classes))
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, :top]
        columns: dict[str, Any] = {
            "id": np.repeat(self.ids.astype(object), top),
            "rank": np.tile(np.arange(1, top + 1), len(self)),
            "class": np.asarray(self.classes, object)[order.ravel()],
            "probability": np.take_along_axis(self.scores, order, axis=1).ravel(),
        }
        if self.thresholds is not None:
            present = self.scores >= self.thresholds
            columns["present"] = np.take_along_axis(present, order, axis=1).ravel()
        return pd.DataFrame(columns)


def predict(
    store: FeatureStore | str | Path,
    run: ProbeRun | str,
    images: Any,
    *,
    backbones: Mapping[str, str] | None = None,
    temperature: float = 1.0,
    device: str = "auto",
    batch_size: int = 128,
    workers: int | None = None,
    decode_timeout: float = DECODE_TIMEOUT_S,
    progress: bool | None = None,
) -> ImagePredictions:
    """Classify images by the backbones and the probe of a stored run.

    Images go the way of those in the store: decoded once, through the transform of each feature
    and its backbone, rounded to the stored precision, scaled as the run scaled them.  A linear
    probe speaks by its stored weights.  Any other is fitted again, to the rows of the store that
    the run was fitted to; kNN finds its neighbours there.

    Parameters
    ----------
    store
        The store, or its path.
    run
        A stored run, or its name.
    images
        A file, a list of files, a folder (every image below it), or any source that
        `featstore.extract` takes.
    backbones
        Feature -> source of its backbone, where the weights have moved since the extraction.
    temperature
        That the probabilities are brought to, as `featstore.calibration` fits it.
    device
        Of backbones: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    batch_size, workers, decode_timeout, progress
        As for `featstore.extract`.

    Returns
    -------
    predictions
        Of every image that can be read; the others are in ``failed``, with the reason.

    Raises
    ------
    FeatureNotFoundError
        If the run or one of its features is not there.
    SpecMismatchError
        If a backbone is another than the feature's, or the feature another than the run's.
    InvalidInputError
        If a feature was imported, so that its backbone is not known.
    WeightsError
        If weights are not where they were.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not isinstance(run, ProbeRun):
        run = store.run(run)
    dataset = open_unlabelled(images)
    encoders = run_encoders(store, run, backbones=backbones, device=device)
    classifier = RunClassifier.of(store, run)
    ids, scores = [], []
    failed: dict[str, str] = {}
    for batch in embed(
        dataset,
        encoders,
        batch_size=batch_size,
        workers=workers,
        decode_timeout=decode_timeout,
        progress=progress,
        label="predict",
    ):
        failed.update(batch.failed)
        if len(batch.ids):
            ids.append(batch.ids)
            scores.append(classifier.probabilities(batch.X))
    classes = classifier.classes
    found = np.concatenate(scores) if scores else np.zeros((0, len(classes)), np.float32)
    multilabel = run.predictions.multilabel
    if temperature != 1:
        found = scores_at(found, temperature, multilabel=multilabel)
    return ImagePredictions(
        run=run.name,
        ids=np.concatenate(ids) if ids else np.zeros(0, "<U1"),
        classes=classes,
        scores=found,
        thresholds=class_thresholds(run) if multilabel else None,
        temperature=temperature,
        probe_from=classifier.origin,
        failed=failed,
    )


def run_encoders(
    store: FeatureStore,
    run: ProbeRun,
    *,
    backbones: Mapping[str, str] | None = None,
    device: str = "auto",
) -> list[FeatureEncoder]:
    """Load the backbones that a run's features come from.

    Raises
    ------
    SpecMismatchError
        If a feature was made again in another way since the run.
    InvalidInputError, WeightsError
        As `featstore.embedding.feature_encoders`.
    """
    config = run.config
    for name, digest in zip(config.features, config.spec_digests, strict=True):
        now = store.feature(name).spec.digest
        if now != digest:
            raise SpecMismatchError(
                f"feature {name!r} of {store.location} is not the one that {run.name} was fitted "
                f"to: its spec has the digest {now}, the run's {digest}; run the probe again"
            )
    return feature_encoders(store, list(config.features), backbones=backbones, device=device)


def class_thresholds(run: ProbeRun) -> NDArray[np.float32]:
    """Threshold of each class for images that are new, shape (c,).

    Of a nested run the mean over its outer folds; 0.5 where the run has none.
    """
    if run.thresholds is None:
        return np.full(run.predictions.n_classes, HALF, np.float32)
    return np.asarray(run.thresholds.per_class.mean(axis=0), np.float32)
