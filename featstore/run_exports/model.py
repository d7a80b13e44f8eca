"""RunModel: a run to be exported, with what every format says about it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from featstore._version import __version__
from featstore.errors import InvalidInputError
from featstore.head import Head
from featstore.image_prediction import class_thresholds
from featstore.link import Link
from featstore.run import ProbeRun
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class RunModel:
    """A run to be exported.

    Attributes
    ----------
    store, run
        Where it is, and what.
    backbones
        Feature -> source of its backbone, where the weights have moved.
    """

    store: FeatureStore
    run: ProbeRun
    backbones: Mapping[str, str]

    @property
    def head(self) -> Head:
        """The linear head.

        Raises
        ------
        InvalidInputError
            If the run keeps none, or one of an earlier version.
        """
        head, config = self.run.head, self.run.config
        if head is None:
            raise InvalidInputError(
                f"{self.run.name} keeps no linear head to export: its probe is {config.preset} "
                f"({config.probe_label}); `featstore predict` knows it, and a model card (.md) can "
                "be written. Logistic regression, ridge, LDA, SGD and plain SVMs keep one"
            )
        if head.link is None:
            raise InvalidInputError(
                f"{self.run.name} comes from an earlier version of featstore, which did not keep "
                "how scores become probabilities; run the probe again"
            )
        return head

    @property
    def link(self) -> Link:
        """From the head's scores to probabilities."""
        link = self.head.link
        assert link is not None  # as `head` makes sure
        return link

    @property
    def classes(self) -> list[str]:
        """Names of the head's classes, in the order of its probabilities."""
        return [self.run.predictions.classes[code] for code in self.head.classes.tolist()]

    def document(self) -> dict[str, Any]:
        """Say in JSON-able terms what the model is, for the metadata of a file."""
        run, config = self.run, self.run.config
        thresholds = class_thresholds(run).tolist() if run.predictions.multilabel else None
        described = {
            "version": __version__,
            "run": run.name,
            "target": config.target,
            "classes": self.classes,
            "multilabel": run.predictions.multilabel,
            "thresholds": thresholds,
            "features": [
                {"name": name, "dim": dim, "spec": self.store.feature(name).spec.to_json()}
                for name, dim in zip(config.features, config.dims, strict=True)
                if name in self.store.features
            ],
            "scaling": config.scaling,
            "link": dataclasses.asdict(self.link),
            "config": dataclasses.asdict(config),
            "metrics": run.metrics.astype(object).to_dict("records"),
        }
        plain: dict[str, Any] = json.loads(json.dumps(described), parse_constant=lambda _: None)
        return plain
