"""Presets: the evaluation protocols of the field, each with its source (docs/protocols.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

#: What a choice can maximise.
SingleLabelMetric = Literal["top1", "mean_per_class", "macro_f1"]
MultiLabelMetric = Literal["mAP", "mAP_11", "micro_mAP", "macro_f1", "micro_f1"]


@dataclass(frozen=True)
class Preset:
    """A probe with its hyper-parameters and how one of them is chosen.

    Attributes
    ----------
    name
        As the command line takes it.
    probe
        Name of the estimator, see `featstore.registry`.
    values
        Candidates of its hyper-parameter; a single one is taken as it is.  Without any, the
        estimator settles on a value by itself.
    search
        How values are tried, see `featstore.search.search`.
    val_fraction
        Share of the training rows that chooses, where the store has no validation split.
    select, folds
        Whether validation rows choose, or so many folds of the training rows.
    rule
        ``"best"``, or ``"one-se"``: the most regularised value within one standard error of the
        best.
    arguments
        What else the estimator is made with.
    metric, multilabel_metric
        What is maximised for single-label and for multi-label targets.
    source
        Where the protocol comes from.
    """

    name: str
    probe: str
    values: tuple[float, ...]
    source: str
    search: Literal["grid", "bisect", "halving"] = "grid"
    val_fraction: float = 0.2
    select: Literal["val", "kfold"] = "val"
    folds: int = 5
    rule: Literal["best", "one-se"] = "best"
    arguments: Mapping[str, Any] = field(default_factory=dict, hash=False)
    metric: SingleLabelMetric = "top1"
    multilabel_metric: MultiLabelMetric = "mAP"


def _decades(start: float, stop: float, count: int) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in np.logspace(start, stop, count))


_VISSL = {
    "normalise": True,
    "norm_offset": 1e-5,
    "positive_weight": 2.0,
    "intercept_scaling": 1.0,
}
_VISSL_COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
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
            "C = 1 / lambda, lambda = logspace(-6, 5, 45), refit; 11-point mAP",
            multilabel_metric="mAP_11",
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
        Preset(
            "dino-knn",
            "knn",
            (10, 20, 100, 200),
            "facebookresearch/dino, eval_knn.py: cosine, T = 0.07",
            arguments={"temperature": 0.07},
        ),
        Preset(
            "dinov2-knn",
            "knn",
            (10, 20, 100, 200),
            f"{_DINOV2}/knn.py: cosine, T = 0.07",
            arguments={"temperature": 0.07},
        ),
        Preset(
            "radio-knn",
            "knn",
            (20,),
            "NVlabs/RADIO: k = 20, T = 0.07",
            arguments={"temperature": 0.07},
        ),
        Preset(
            "instdisc-knn",
            "knn",
            (200,),
            "Wu et al. 2018: k = 200, T = 0.1",
            arguments={"temperature": 0.1},
        ),
        Preset(
            "knn-loo",
            "knn",
            (),
            "leave-one-out accuracy on all training rows: k in 1 … 200, T in 0.03 … 0.5",
            arguments={"k": "loo", "temperatures": (0.03, 0.07, 0.1, 0.2, 0.5)},
        ),
        Preset("ridge", "ridge", _decades(-6, 8, 29), "featstore's default"),
        Preset(
            "ridge-loo",
            "ridge",
            (),
            "leave-one-out squared error on all training rows (PRESS, Allen 1974)",
            arguments={"alpha": "loo"},
        ),
        Preset(
            "bigvision-fewshot",
            "ridge",
            (1024.0,),
            "google-research/big_vision, evaluators/fewshot_lsr.py: standardise (std + 1e-5), "
            "bias column 100, targets ±1, ridge 2^10",
            arguments={"standardise": True, "std_offset": 1e-5, "bias": 100.0},
        ),
        Preset(
            "lda",
            "lda",
            (1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0),
            "featstore's default",
        ),
        Preset("lda-ledoit-wolf", "lda", (), "Ledoit & Wolf 2004, pooled over the classes"),
        Preset("svm", "svm", _decades(-4, 2, 13), "featstore's default"),
        Preset(
            "vissl-svm",
            "svm",
            (0.01, 0.1),
            "facebookresearch/vissl, svm_trainer.py and defaults.yaml: rows / (norm + 1e-5), "
            "LinearSVC, squared hinge, positives weigh 2; 3 folds",
            select="kfold",
            folds=3,
            arguments=_VISSL,
        ),
        Preset(
            "vissl-voc07",
            "svm",
            _VISSL_COSTS,
            "facebookresearch/vissl, voc07/eval_resnet_8gpu_transfer_voc07_svm.yaml: 11 costs",
            select="kfold",
            folds=3,
            arguments=_VISSL,
        ),
        Preset(
            "vissl-lowshot",
            "svm",
            _VISSL_COSTS,
            "facebookresearch/vissl, svm_low_shot_trainer.py: k in 1, 2, 4, 8, 16, 32, 64, 96 x 5 "
            "draws, 11 costs",
            select="kfold",
            folds=3,
            arguments=_VISSL,
        ),
        Preset(
            "simpleshot",
            "centroid",
            (),
            "Wang et al. 2019, CL2N: centre, L2, nearest prototype",
            arguments={"normalise": True, "centre": True},
        ),
        Preset("centroid", "centroid", (), "Mensink et al. 2013: nearest class mean"),
        Preset(
            "centroid-cosine",
            "centroid",
            (),
            "nearest mean direction, by the cosine",
            arguments={"metric": "cosine"},
        ),
        Preset(
            "gaussian",
            "gaussian",
            _decades(-9, 0, 10),
            "Gaussian naive Bayes; variance smoothing chosen",
            arguments={"temperature": "n_features"},
        ),
        Preset(
            "dlda",
            "gaussian",
            _decades(-9, 0, 10),
            "Dudoit, Fridlyand & Speed 2002: diagonal LDA; variance smoothing chosen",
            arguments={"variances": "pooled", "temperature": "n_features"},
        ),
        Preset(
            "paper-linear",
            "sgd",
            (0.4,),
            "Cole et al. 2022, appendix C.2: 90 epochs of SGD, Nesterov, batch 1024, "
            "lr 0.1 x 1024 / 256, cosine; last epoch",
        ),
        Preset(
            "dinov2-linear",
            "sgd",
            (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1),
            f"{_DINOV2}/linear.py: 13 lrs x batch / 256, SGD 0.9, 12,500 steps of 1024 rows "
            "(8 GPUs x 128), cosine",
            arguments={
                "scale_lr": True,
                "nesterov": False,
                "steps": 12_500,
                "drop_last": True,
            },
        ),
        Preset(
            "clip-benchmark",
            "sgd-weight-decay",
            _decades(-6, 2, 7),
            "LAION-AI/CLIP_benchmark, metrics/linear_probe.py: L2, AdamW 0.1, 10 epochs of "
            "batches of 64, cosine; weight decay by bisection, refit",
            search="bisect",
            arguments={
                "lr": 0.1,
                "optimizer": "adamw",
                "epochs": 10,
                "batch_size": 64,
                "init": "linear",
                "normalise": True,
            },
        ),
        Preset(
            "capi",
            "sgd-grid",
            tuple(range(30)),
            "facebookresearch/capi, eval_classification.py: 10 lrs x batch / 256 x 3 weight "
            "decays, AdamW (0.9, 0.95), 12,500 steps of 128 rows, warm-up 1,250, cosine; 10 % val",
            val_fraction=0.1,
            arguments={
                "lrs": (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01),
                "weight_decays": (5e-4, 1e-3, 5e-2),
                "arguments": {
                    "optimizer": "adamw",
                    "betas": (0.9, 0.95),
                    "decay_bias": False,
                    "batch_size": 128,
                    "scale_lr": True,
                    "steps": 12_500,
                    "schedule": "warmup-cosine",
                    "warmup_steps": 1250,
                    "init_std": 0.02,
                    "drop_last": True,
                },
            },
        ),
        Preset(
            "mlp",
            "mlp",
            tuple(range(12)),
            "featstore's default, non-linear: one hidden layer of 256 or 1024, 3 lrs x 2 weight "
            "decays, AdamW, 30 epochs of batches of 256, warm-up, cosine",
            arguments={
                "widths": (256, 1024),
                "lrs": (3e-4, 1e-3, 3e-3),
                "weight_decays": (0.01, 1.0),
            },
        ),
        Preset(
            "capi-attentive",
            "attentive",
            tuple(range(30)),
            "facebookresearch/capi, eval_classification.py, patch tokens, non-linear: attention "
            "pooling by one query, 10 lrs x batch / 256 x 3 weight decays, AdamW (0.9, 0.95), "
            "12,500 steps of 128 rows, warm-up 1,250, cosine; 10 % val",
            val_fraction=0.1,
            arguments={
                "lrs": (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01),
                "weight_decays": (5e-4, 1e-3, 5e-2),
                "scale_lr": True,
            },
        ),
    )
}

#: What `probe --probe NAME` means where no preset is named.
DEFAULT_PRESETS = {
    "logistic": "logistic",
    "knn": "dinov2-knn",
    "ridge": "ridge",
    "lda": "lda",
    "svm": "svm",
    "centroid": "centroid",
    "gaussian": "gaussian",
    "sgd": "paper-linear",
    "sgd-weight-decay": "clip-benchmark",
    "sgd-grid": "capi",
    "mlp": "mlp",
    "attentive": "capi-attentive",
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
