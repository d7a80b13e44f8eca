"""Cell: one run of a study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from featstore.probe_arguments import ProbeArguments
from featstore.spec import digest

#: Arguments that have a column of their own, or stand in front.
_SHOWN = ("probe", "preset", "target", "train_subset", "seed", "scaling")


@dataclass(frozen=True)
class Cell:
    """What one call of `featstore.probe` is told.

    Attributes
    ----------
    store
        Where it is.
    features
        One, or several side by side.
    arguments
        All else.
    label
        What tables call the probe; see `label_of`.
    """

    store: str
    features: tuple[str, ...]
    arguments: ProbeArguments
    label: str = field(compare=False)

    @property
    def key(self) -> str:
        """Digest of what was written, whatever the store holds."""
        return digest([self.store, self.features, dataclasses.asdict(self.arguments)])

    @property
    def group(self) -> tuple[object, ...]:
        """Cells of one group go through the same matrices."""
        arguments = self.arguments
        return (
            self.store,
            self.features,
            arguments.train,
            arguments.train_subset,
            arguments.val,
            arguments.test,
            arguments.scaling,
        )

    def row(self) -> dict[str, object]:
        """Return the columns that tell cells of a study apart."""
        return {
            "store": self.store,
            "features": " + ".join(self.features),
            "probe": self.label,
            "target": self.arguments.target,
            "scaling": self.arguments.scaling,
            "subset": self.arguments.train_subset or "all",
            "seed": self.arguments.seed,
        }


def label_of(told: Mapping[str, object]) -> str:
    """Call a probe by its preset or name, and by what else its entry says.

    Examples
    --------
    >>> label_of({"probe": "knn", "value": 5})
    'knn, value 5'
    """
    name = told.get("preset") or told.get("probe") or "logistic"
    rest = [f"{key} {value}" for key, value in told.items() if key not in _SHOWN]
    return ", ".join([str(name), *rest])
