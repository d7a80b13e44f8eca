"""FeatureEncoder: the backbone of a stored feature, loaded again for images that are new."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from featstore.backend_choice import put_on
from featstore.encoder import Encoder, backend_of
from featstore.errors import InvalidInputError, SpecMismatchError, WeightsError
from featstore.feature import FeatureInfo
from featstore.feature_task import encode_in_pieces
from featstore.micro_batch import MicroBatch
from featstore.preparation import Preparation
from featstore.registry import backbones as backbone_loader
from featstore.spec import FeatureSpec

#: What differs between two ways to name the same thing.
_LABELS = ("backbone.source:", "backbone.weights:", "backbone.pretrained_on:")


@dataclass(frozen=True, eq=False)
class FeatureEncoder:
    """Does to any image what extraction did to those of the store.

    Attributes
    ----------
    name, spec
        Of the stored feature.
    encoder
        Its backbone.
    original
        The same one on its own library, where another one computed the feature.
    """

    name: str
    spec: FeatureSpec
    encoder: Encoder
    original: Encoder

    @classmethod
    def of(cls, info: FeatureInfo, *, source: str | None = None, device: str = "auto") -> Self:
        """Load the backbone of a feature, and make sure that it is the same.

        Parameters
        ----------
        info
            The feature.
        source
            Where its weights are by now; by default where they were.
        device
            ``"auto"``, ``"cpu"`` or ``"cuda"``.

        Raises
        ------
        InvalidInputError
            If the feature was not extracted by a backbone.
        MissingDependencyError
            If the package of the backend is missing that computed the feature.
        WeightsError
            If the weights are not there any more.
        SpecMismatchError
            If weights, architecture, layer or transform are others; with both digests.
        """
        spec = info.spec
        if spec.transform is None or spec.numerics is None:
            raise InvalidInputError(
                f"feature {info.name!r} was imported: what turned images into its values is not "
                "known, so new images cannot be; extract it with a backbone "
                "(featstore backbones lists them)"
            )
        request = info.request or {}
        # Features of ready-made encoders have no request; the paper's geometry tells.
        usual = "paper" if spec.transform.geometry == "crop-resize" else "own"
        try:
            original: Encoder = backbone_loader().load_encoder(
                source or spec.backbone.source,
                device=device,
                numerics=spec.numerics,
                transform=request.get("transform", usual),
                decode=spec.transform.decode,
            )
        except WeightsError as error:
            if source is not None:
                raise
            raise WeightsError(
                f"{error}. If the weights have moved, say where they are: "
                f"--backbone {info.name}=SOURCE"
            ) from error
        encoder = put_on({info.name: original}, {info.name: spec.backend})[info.name]
        _check_same(info.name, spec, encoder)
        return cls(info.name, spec, encoder, original)

    @property
    def preparation(self) -> Preparation:
        """What images go through before the backbone: the feature's corruption and transform."""
        return Preparation(self.encoder.transform, self.spec.corruption)

    def encode(self, pixels: NDArray[np.uint8], micro_batch: MicroBatch) -> NDArray[np.floating]:
        """Compute features, in the stored precision.

        Parameters
        ----------
        pixels
            RGB, shape (n, size, size, 3).
        micro_batch
            Images at a time.

        Returns
        -------
        features
            Shape (n, dim).
        """
        features = micro_batch.run(partial(encode_in_pieces, self.encoder, pixels))
        with np.errstate(over="ignore"):
            return features.astype(self.spec.dtype)


def _check_same(name: str, spec: FeatureSpec, encoder: Encoder) -> None:
    now = dataclasses.replace(
        spec,
        backbone=encoder.spec,
        transform=encoder.transform,
        numerics=encoder.numerics,
        backend=backend_of(encoder),
    )
    if now.digest == spec.digest:
        return
    differences = [line for line in spec.differences(now) if not line.startswith(_LABELS)]
    lines = "\n  ".join(differences)
    raise SpecMismatchError(
        f"{encoder.spec.source!r} is not the backbone that feature {name!r} was extracted with "
        f"(stored | loaded):\n  {lines}\n"
        f"Say where the right one is: --backbone {name}=SOURCE"
    )
