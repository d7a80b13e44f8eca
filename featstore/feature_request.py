"""FeatureRequest: what a call of extract asks for, feature by feature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from featstore.corruptions import (
    Corruption,
    check_packages,
    corruption_to_json,
    parse_corruptions,
)
from featstore.encoder import Encoder
from featstore.errors import InvalidInputError
from featstore.registry import backbones as backbone_loader
from featstore.spec import NumericsChoice, StoredDtype
from featstore.transform import Decode


@dataclass(frozen=True)
class FeatureRequest:
    """One feature that is asked for.

    Attributes
    ----------
    source
        Of the backbone.
    backbone
        The name of its feature of clean images.
    corruption
        Of the images; None for clean ones.
    fields
        All that is kept beside the feature, JSON-able; an equal request is for the same values.
    """

    source: str
    backbone: str
    corruption: Corruption | None
    fields: Mapping[str, Any]


def feature_requests(
    backbones: str | Sequence[str],
    corrupt: str | Corruption | Sequence[str | Corruption],
    *,
    transform: Literal["own", "paper"],
    dtype: StoredDtype,
    numerics: NumericsChoice,
    decode: Decode = "exact",
) -> dict[str, FeatureRequest]:
    """Name every feature that is asked for; see `featstore.extraction.extract`.

    Raises
    ------
    InvalidInputError
        If two features would share a name.
    """
    loader = backbone_loader()
    requests: dict[str, FeatureRequest] = {}
    sources = [backbones] if isinstance(backbones, str) else backbones
    for source, corruption in product(sources, _corruptions(corrupt)):
        backbone = loader.feature_name(source)
        name = corrupted_name(backbone, corruption)
        if name in requests:
            raise InvalidInputError(
                f"two backbones would be stored as {name!r}; name one: --backbone NAME={source}"
            )
        fields = {
            "source": source,
            "transform": transform,
            "dtype": dtype,
            "numerics": "fp32" if numerics == "exact" else numerics,
            "mark": loader.mark(source),
            # Requests of clean features, and of exact pixels, stay what they were.
            **({} if decode == "exact" else {"decode": decode}),
            **({} if corruption is None else {"corruption": corruption_to_json(corruption)}),
        }
        requests[name] = FeatureRequest(source, backbone, corruption, fields)
    return requests


def load_encoders(
    requests: Mapping[str, FeatureRequest],
    names: Iterable[str],
    *,
    device: str,
    threads: int | None = None,
) -> dict[str, Encoder]:
    """Load the encoder of each of these features; features of one backbone share it.

    Parameters
    ----------
    requests
        Of all features.
    names
        Of those whose encoders are needed.
    device
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    threads
        Of a CPU; all cores if None.

    Raises
    ------
    MissingDependencyError
        If a package is missing that a corruption needs: weights may take a download, and are
        loaded only then.
    """
    names = list(names)
    check_packages(requests[name].corruption for name in names)
    loader = backbone_loader()
    loaded: dict[str, Encoder] = {}
    encoders = {}
    for name in names:
        request = requests[name]
        if request.source not in loaded:
            numerics = request.fields["numerics"]
            loaded[request.source] = loader.load_encoder(
                request.source,
                device=device,
                # What a trial starts from, and is measured against.
                numerics="fp32" if numerics == "fast" else numerics,
                transform=request.fields["transform"],
                decode=request.fields.get("decode", "exact"),
                threads=threads,
            )
        encoders[name] = loaded[request.source]
    return encoders


def corrupted_name(feature: str, corruption: Corruption | None) -> str:
    """Return the name of a backbone's feature of corrupted images.

    Examples
    --------
    >>> from featstore.corruptions import Jpeg
    >>> corrupted_name("resnet50", Jpeg(10)), corrupted_name("resnet50", None)
    ('resnet50-jpeg10', 'resnet50')
    """
    return feature if corruption is None else f"{feature}-{corruption.label}"


def _corruptions(
    given: str | Corruption | Sequence[str | Corruption],
) -> list[Corruption | None]:
    """Read what was given; nothing means clean images."""
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    found = [
        corruption
        for one in listed
        for corruption in (parse_corruptions([one]) if isinstance(one, str) else [one])
    ]
    return list(dict.fromkeys(found)) or [None]
