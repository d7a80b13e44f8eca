"""Registry: the outer packages by name, imported only when used.

The core never imports outward (see docs/design/layout.md); it is handed encoders and probes.
Where a user gives a name instead, it is resolved here.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

from featstore.errors import InvalidInputError
from featstore.suggest import did_you_mean

#: Probes that featstore carries; third parties add theirs as entry points.
PROBES = {
    "logistic": "featstore.probes:LogisticProbe",
    "knn": "featstore.probes:KNNProbe",
    "ridge": "featstore.probes:RidgeProbe",
    "svm": "featstore.probes:SVMProbe",
    "lda": "featstore.probes:LDAProbe",
    "centroid": "featstore.probes:CentroidProbe",
    "gaussian": "featstore.probes:GaussianProbe",
    "sgd": "featstore.probes:SGDProbe",
    "sgd-weight-decay": "featstore.probes:WeightDecayProbe",
    "sgd-grid": "featstore.probes:SGDGridProbe",
    "mlp": "featstore.probes:MLPProbe",
    "attentive": "featstore.probes:AttentiveProbe",
}
PROBE_ENTRY_POINTS = "featstore.probes"


def backbones() -> Any:
    """Return the package that loads encoders by source string."""
    return importlib.import_module("featstore.backbones")


def probes() -> dict[str, str]:
    """Where the probes are, by name: ``module:attribute``; featstore's own come first."""
    found = dict(PROBES)
    for entry in metadata.entry_points(group=PROBE_ENTRY_POINTS):
        found.setdefault(entry.name, entry.value)
    return found


def probe_place(name: str) -> str:
    """Return where a probe is, ``module:attribute``, without importing it.

    Raises
    ------
    InvalidInputError
        If there is no probe of this name.
    """
    # The installed packages are searched for plugins only: that takes as long as a small probe.
    known = PROBES if name in PROBES else probes()
    if name not in known:
        raise InvalidInputError(f"there is no probe {name!r}. {did_you_mean(name, known)}")
    return known[name]


def probe(name: str) -> Any:
    """Return a probe's class by name; the errors are those of `probe_place`."""
    module, _, attribute = probe_place(name).partition(":")
    return getattr(importlib.import_module(module), attribute)


def cards() -> Any:
    """Return the package that shows objects in notebooks."""
    return importlib.import_module("featstore.cards")
