"""Probes: classifiers over stored features, each a scikit-learn estimator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featstore.probes.attentive import AttentiveProbe
    from featstore.probes.centroid import CentroidProbe
    from featstore.probes.certificate import Certificate
    from featstore.probes.conditioning import Conditioning
    from featstore.probes.discriminant import LDAProbe
    from featstore.probes.faiss_search import InvertedLists, NeighbourGraph
    from featstore.probes.gaussian import GaussianProbe
    from featstore.probes.joint_fit import fit_together
    from featstore.probes.knn import KNNProbe
    from featstore.probes.logistic import LogisticProbe
    from featstore.probes.mlp import MLPProbe
    from featstore.probes.path import logistic_path
    from featstore.probes.preconditioner import GramBasis
    from featstore.probes.ridge import RidgeProbe
    from featstore.probes.sgd import SGDProbe
    from featstore.probes.sgd_grid import SGDGridProbe
    from featstore.probes.sgd_weight_decay import WeightDecayProbe
    from featstore.probes.subset_logistic import logistic_subsets
    from featstore.probes.svm import SVMProbe

__all__ = [
    "AttentiveProbe",
    "CentroidProbe",
    "Certificate",
    "Conditioning",
    "GaussianProbe",
    "GramBasis",
    "InvertedLists",
    "KNNProbe",
    "LDAProbe",
    "LogisticProbe",
    "MLPProbe",
    "NeighbourGraph",
    "RidgeProbe",
    "SGDGridProbe",
    "SGDProbe",
    "SVMProbe",
    "WeightDecayProbe",
    "fit_together",
    "logistic_path",
    "logistic_subsets",
]

_MODULES = {
    "AttentiveProbe": "attentive",
    "CentroidProbe": "centroid",
    "Certificate": "certificate",
    "Conditioning": "conditioning",
    "GaussianProbe": "gaussian",
    "GramBasis": "preconditioner",
    "InvertedLists": "faiss_search",
    "KNNProbe": "knn",
    "LDAProbe": "discriminant",
    "LogisticProbe": "logistic",
    "MLPProbe": "mlp",
    "NeighbourGraph": "faiss_search",
    "RidgeProbe": "ridge",
    "SGDGridProbe": "sgd_grid",
    "SGDProbe": "sgd",
    "SVMProbe": "svm",
    "WeightDecayProbe": "sgd_weight_decay",
    "fit_together": "joint_fit",
    "logistic_path": "path",
    "logistic_subsets": "subset_logistic",
}


def __getattr__(name: str) -> object:
    # Lazily: the modules import torch, which takes seconds.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
