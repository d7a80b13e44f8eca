"""Probes: classifiers over stored features, each a scikit-learn estimator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featstore.probes.certificate import Certificate
    from featstore.probes.knn import KNNProbe
    from featstore.probes.logistic import LogisticProbe
    from featstore.probes.path import logistic_path
    from featstore.probes.preconditioner import GramBasis

__all__ = ["Certificate", "GramBasis", "KNNProbe", "LogisticProbe", "logistic_path"]

_MODULES = {
    "Certificate": "certificate",
    "GramBasis": "preconditioner",
    "KNNProbe": "knn",
    "LogisticProbe": "logistic",
    "logistic_path": "path",
}


def __getattr__(name: str) -> object:
    # Lazily: the modules import torch, which takes seconds.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
