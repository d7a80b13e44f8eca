"""A data set with some of its targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featstore.dataset import Dataset
from featstore.errors import InvalidInputError
from featstore.images import ImageSource
from featstore.samples import Samples
from featstore.suggest import did_you_mean


@dataclass(frozen=True, eq=False)
class ChosenTargets:
    """Images of another data set, with another row table; made by `with_targets`.

    Attributes
    ----------
    dataset
        Whose images they are.
    samples, source
        See `featstore.dataset.Dataset`.
    """

    dataset: Dataset
    samples: Samples
    source: Mapping[str, Any]

    def image(self, row: int) -> ImageSource:
        """Return the image of a row."""
        return self.dataset.image(row)


def with_targets(dataset: Dataset, names: Sequence[str]) -> ChosenTargets:
    """Keep some targets, in this order; the first one is what a probe predicts by default.

    Raises
    ------
    InvalidInputError
        If there is no target of a name.
    """
    targets = dataset.samples.targets
    for name in names:
        if name not in targets:
            raise InvalidInputError(
                f"these images have no target {name!r}. {did_you_mean(name, targets)}"
            )
    samples = dataclasses.replace(
        dataset.samples, targets={name: targets[name] for name in dict.fromkeys(names)}
    )
    options = {**dataset.source.get("options", {}), "target": list(names)}
    return ChosenTargets(dataset, samples, {**dataset.source, "options": options})
