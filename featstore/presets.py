"""Presets: the evaluation protocols of the field, each with its source (docs/protocols.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean


@dataclass(frozen=True)
class Preset:
    """A probe with its hyper-parameters and how one of them is chosen.

    Attributes
    ----------
    name
        As the command line takes it.
    probe
        ``"logistic"`` or ``"knn"``.
    values
        Candidates of C (logistic) or k (kNN); a single one is taken as it is.
    search
        ``"grid"`` tries all; ``"bisect"`` tries all, then halves the distance to the best one
        until steps are an eighth of a decade.
    val_fraction
        Share of the training rows that chooses, where the store has no validation split.
    temperature
        Of the kNN votes; ignored by the logistic probe.
    multilabel_metric
        What is maximised for multi-label targets.
    source
        Where the protocol comes from.
    """

    name: str
    probe: Literal["logistic", "knn"]
    values: tuple[float, ...]
    source: str
    search: Literal["grid", "bisect"] = "grid"
    val_fraction: float = 0.2
    temperature: float = 0.07
    multilabel_metric: Literal["mAP", "micro_mAP"] = "mAP"


def _decades(start: float, stop: float, count: int) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in np.logspace(start, stop, count))


_DINOV2 = "facebookresearch/dinov2, dinov2/eval"
PRESETS = {
    preset.name: preset
    for preset in (
        Preset("logistic", "logistic", _decades(-5, 1, 13), "featstore's default"),
        Preset(
            "dinov2-logreg",
            "logistic",
            _decades(-6, 5, 45),
            f"{_DINOV2}/log_regression.py: C = 10^linspace(-6, 5, 45), 10 % val, refit",
            val_fraction=0.1,
        ),
        Preset(
            "kornblith",
            "logistic",
            _decades(-5, 6, 45),
            "Kornblith et al. 2019; linusericsson/ssl-transfer, linear.py: "
            "C = 1 / lambda, lambda = logspace(-6, 5, 45), refit",
        ),
        Preset("clip-readme", "logistic", (0.316,), "openai/CLIP, README: C = 0.316"),
        Preset(
            "clip-paper",
            "logistic",
            _decades(-6, 6, 7),
            "Radford et al. 2021, appendix A.3: parametric binary search over lambda",
            search="bisect",
        ),
        Preset(
            "torchgeo",
            "logistic",
            _decades(-6, 4, 40),
            "torchgeo-bench: 40 values of C in 1e-6 … 1e4, val merged, micro-mAP",
            multilabel_metric="micro_mAP",
        ),
        Preset("dino-knn", "knn", (10, 20, 100, 200), "facebookresearch/dino, eval_knn.py"),
        Preset("dinov2-knn", "knn", (10, 20, 100, 200), f"{_DINOV2}/knn.py"),
        Preset("radio-knn", "knn", (20,), "NVlabs/RADIO: k = 20, T = 0.07"),
        Preset(
            "instdisc-knn",
            "knn",
            (200,),
            "Wu et al. 2018: k = 200, T = 0.1",
            temperature=0.1,
        ),
    )
}


def preset(name: str) -> Preset:
    """Return a preset by name.

    Raises
    ------
    InvalidInputError
        If there is none of this name.

    Examples
    --------
    >>> preset("clip-readme").values
    (0.316,)
    """
    if name not in PRESETS:
        raise InvalidInputError(f"there is no preset {name!r}. {did_you_mean(name, PRESETS)}")
    return PRESETS[name]
