"""BackboneSpec and FeatureSpec: everything that changes a stored value, and its digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from featstore.corruptions import Corruption, corruption_from_json, corruption_to_json
from featstore.transform import Transform

StoredDtype = Literal["float16", "float32"]
Numerics = Literal["fp32", "bf16", "fp16"]
#: What may be asked for: "exact" is another word for "fp32", and "fast" is "fp32" by whichever
#: backend a trial finds fastest.
NumericsChoice = Literal["exact", "fp32", "bf16", "fp16", "fast"]


def digest(value: object) -> str:
    """Sha256 of a JSON-able value, independent of key order.

    Examples
    --------
    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class BackboneSpec:
    """A frozen network up to one layer.

    Attributes
    ----------
    source
        What the user asked for, e.g. ``"timm/vit_small_patch14_dinov2"``.  For people; two
        sources with equal weights, architecture and layer give the same feature.
    architecture
        Canonical name of the architecture, e.g. ``"torchvision/resnet50"``.
    weights
        Name of the weights, e.g. ``"IMAGENET1K_V2"``, a file name or ``"random(seed=0)"``.
    weights_digest
        Sha256 of the weights' content (names, dtypes, shapes and bytes of all tensors).
    layer
        The module or tensor whose activation is taken; ``"penultimate"``, the input of the
        classification head, by default; ``"tokens"``, what that input is pooled from.
    pooling
        How positions become one vector: ``"none"``, ``"cls"``, ``"mean"``, ``"cls+mean"``,
        ``"flatten"`` or ``"tokens"``; with the number of prefix tokens where it is unusual.
    dim
        Length of the feature vector.
    n_tokens
        With ``"tokens"``, how many lie one after the other in a row, each dim / n_tokens long;
        None for features without tokens.
    pretrained_on
        Names of the data sets that the weights were learned from, where somebody said; for people
        and for tables, and no part of the digest.
    """

    source: str
    architecture: str
    weights: str
    weights_digest: str
    layer: str
    pooling: str
    dim: int
    n_tokens: int | None = None
    pretrained_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeatureSpec:
    """A feature block: backbone, pixels, precision and the rows it was computed on.

    Attributes
    ----------
    backbone, transform
        What was computed, from which pixels; None for features made elsewhere, whose pixels
        nobody knows.
    dtype
        Stored precision.
    numerics
        Precision of the forward pass; None where it is unknown.
    samples_digest
        Fingerprint of the store's rows (ids in order and the source's content mark).
    corruption
        What was done to the images before the transform; None for nothing.
    backend
        What computed the forward pass, where a trial chose it (`featstore.backend_trial`); None
        for the backbone's own library.
    """

    backbone: BackboneSpec
    transform: Transform | None
    dtype: StoredDtype
    numerics: Numerics | None
    samples_digest: str
    corruption: Corruption | None = None
    backend: str | None = None

    @property
    def digest(self) -> str:
        """Sha256 over every field that changes a value."""
        fields = self.to_json()
        # Labels for people: equal weights under another name are the same feature.
        del fields["backbone"]["source"], fields["backbone"]["weights"]
        fields["backbone"].pop("pretrained_on", None)
        return digest(fields)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON-able nested dictionaries."""
        fields: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        if self.backbone.n_tokens is None:
            del fields["backbone"]["n_tokens"]  # digests and files of other features stay
        del fields["corruption"]
        if self.corruption is not None:
            fields["corruption"] = corruption_to_json(self.corruption)
        if self.backend is None:
            del fields["backend"]
        if self.transform is not None and self.transform.decode == "exact":
            del fields["transform"]["decode"]
        if not self.backbone.pretrained_on:
            del fields["backbone"]["pretrained_on"]
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> FeatureSpec:
        """Rebuild a spec that `to_json` wrote."""
        known, corruption = fields["transform"], fields.get("corruption")
        backbone = fields["backbone"]
        if known is not None:
            known = {**known, "mean": tuple(known["mean"]), "std": tuple(known["std"])}
        return cls(
            backbone=BackboneSpec(
                **{**backbone, "pretrained_on": tuple(backbone.get("pretrained_on", ()))}
            ),
            transform=None if known is None else Transform(**known),
            dtype=fields["dtype"],
            numerics=fields["numerics"],
            samples_digest=fields["samples_digest"],
            corruption=None if corruption is None else corruption_from_json(corruption),
            backend=fields.get("backend"),
        )

    def differences(self, other: FeatureSpec) -> list[str]:
        """Name the fields that differ, as ``"field: mine | theirs"``, for error messages."""

        def flat(prefix: str, node: Any) -> dict[str, Any]:
            if not isinstance(node, dict):
                return {prefix: node}
            return {
                k: v
                for key, child in node.items()
                for k, v in flat(f"{prefix}.{key}" if prefix else key, child).items()
            }

        mine, theirs = flat("", self.to_json()), flat("", other.to_json())
        # An imported feature has no transform, and an extracted one has its fields instead.
        keys = dict.fromkeys([*mine, *theirs])
        pairs = {key: (mine.get(key, "–"), theirs.get(key, "–")) for key in keys}
        return [f"{key}: {a} | {b}" for key, (a, b) in pairs.items() if a != b]
