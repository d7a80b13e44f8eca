"""ProbeRun: one fitted probe, its predictions, and all one needs to trust and repeat it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featstore.columns import read_columns, write_column
from featstore.displayed import Displayed
from featstore.errors import InvalidInputError
from featstore.head import Head
from featstore.link import Link
from featstore.predictions import Predictions
from featstore.run_config import RunConfig
from featstore.scaling import BlockScaling
from featstore.scratch_store import scratch_store
from featstore.strings import pack, unpack
from featstore.thresholds import Thresholds

if TYPE_CHECKING:
    from featstore.analysis.compare import Comparison
    from featstore.analysis.granularity_gap import GranularityGap
    from featstore.class_groups import ClassGroups
    from featstore.fitted import Fitted
    from featstore.ranking import Interpolation
    from featstore.taxonomy import Taxonomy

_PREDICTIONS = ("ids", "id_offsets", "truth", "scores", "seen")
_HEAD = ("head_coef", "head_intercept", "head_classes", "head_mean", "head_scale")
_THRESHOLDS = ("thresholds", "thresholds_common", "thresholds_source")
_FOLD_SCORES = ["repeat", "fold", "value", "rows", "score", "chosen", "outer"]


@dataclass(frozen=True, eq=False)
class ProbeRun(Displayed):
    """One probe, fitted and evaluated.

    Attributes
    ----------
    name
        Unique in the store; by default made from the configuration.
    config
        How it was made.
    predictions
        Scores of every test row.
    metrics
        Columns metric, value, low, high, n: each metric with its bootstrap interval.
    selection
        Columns value, score, se, rows, chosen: the hyper-parameter against the validation metric,
        its standard error and the rows fitted on (NaN where not known); empty if it was fixed.
    certificate
        What is known about the solution, or about the search for neighbours; may be empty.
    head
        The weights, if the probe is linear.
    provenance
        Time, machine and package versions.
    fold_scores
        Columns repeat, fold, value, rows, score, chosen, outer: what the scores of `selection` are
        means of, and beside them (outer > 0) those of the choices in the outer folds of a nested
        selection.
    thresholds
        Of a multi-label run, chosen on rows that are not reported.
    fitted
        The probe itself, where it was asked for; it is not stored.
    request
        Digest of all that was settled before the fit, see
        `featstore.probe_setup.ProbeSetup.digest`; empty in runs of earlier versions.
    """

    name: str
    config: RunConfig
    predictions: Predictions
    metrics: pd.DataFrame
    selection: pd.DataFrame
    certificate: Mapping[str, Any]
    head: Head | None
    provenance: Mapping[str, Any]
    fold_scores: pd.DataFrame = field(default_factory=lambda: _frame([], _FOLD_SCORES))
    thresholds: Thresholds | None = None
    fitted: Fitted | None = None
    request: str = ""

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy on the test rows, in [0, 1]; single-label only."""
        return self.metric("top1")

    @property
    def at_edge(self) -> bool:
        """Whether the chosen value is the smallest or the largest of several that were tried.

        A position in a grid of heads has no edges.
        """
        tried = self.selection["value"]
        if len(tried) < 2 or self.config.parameter == "head":
            return False
        return self.config.value in (tried.min(), tried.max())

    def metric(self, name: str) -> float:
        """Return a metric's value by name; `KeyError` if the run has none of this name."""
        return float(self.metrics.set_index("metric")["value"][name])

    def per_class(
        self,
        *,
        interpolation: Interpolation = "all-points",
        n_boot: int = 1000,
        seed: int = 0,
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Accuracy or average precision of each class; see `featstore.analysis.per_class`."""
        from featstore.analysis.per_class import per_class

        return per_class(
            self.predictions,
            thresholds=self.thresholds,
            interpolation=interpolation,
            n_boot=n_boot,
            seed=seed,
            level=level,
        )

    def granularity(
        self,
        taxonomy: Taxonomy | str | Path,
        *,
        rule: Literal["argmax", "sum"] = "argmax",
        of: str | None = None,
        n_boot: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Accuracy along a taxonomy, or a file of one; see `featstore.analysis.granularity`."""
        from featstore.analysis.granularity import granularity

        return granularity(
            self.predictions, _taxonomy(taxonomy), rule=rule, of=of, n_boot=n_boot, seed=seed
        )

    def severity(
        self,
        taxonomy: Taxonomy | str | Path,
        *,
        of: str | None = None,
        n_boot: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How far off the mistakes are in a taxonomy; see `featstore.analysis.severity`."""
        from featstore.analysis.severity import severity

        return severity(self.predictions, _taxonomy(taxonomy), of=of, n_boot=n_boot, seed=seed)

    def class_averages(
        self,
        taxonomy: Taxonomy | str | Path,
        level: str,
        *,
        of: str | None = None,
        n_boot: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Means over the classes below each class of a level; see `analysis.class_averages`."""
        from featstore.analysis.class_averages import class_averages
        from featstore.class_groups import ClassGroups

        classes = self.predictions.classes
        groups = ClassGroups.from_taxonomy(_taxonomy(taxonomy), level, classes, of=of)
        return class_averages({self.name: self.predictions}, groups, n_boot=n_boot, seed=seed)

    def kin_confusion(
        self,
        taxonomy: Taxonomy | str | Path,
        *,
        level: str | None = None,
        groups: ClassGroups | None = None,
        of: str | None = None,
    ) -> pd.DataFrame:
        """Mistakes among siblings and strangers; see `featstore.analysis.kin_confusion`."""
        from featstore.analysis.kin_confusion import kin_confusion

        return kin_confusion(
            self.predictions, _taxonomy(taxonomy), level=level, groups=groups, of=of
        )

    def coarsen(
        self,
        taxonomy: Taxonomy | str | Path,
        level: str,
        *,
        rule: Literal["argmax", "sum"] = "argmax",
        of: str | None = None,
    ) -> Predictions:
        """Predictions at a coarser level, for any analysis; see `featstore.analysis.coarsen`."""
        from featstore.analysis.coarsening import coarsen

        return coarsen(self.predictions, _taxonomy(taxonomy), level, rule=rule, of=of)

    def calibration(self, *, n_bins: int = 15, n_boot: int = 1000, seed: int = 0) -> pd.DataFrame:
        """How far its probabilities are from frequencies; see `featstore.analysis.calibration`."""
        from featstore.analysis.calibration import calibration

        return calibration(self.predictions, n_bins=n_bins, n_boot=n_boot, seed=seed)

    def reliability(
        self, *, n_bins: int = 15, binning: Literal["width", "mass"] = "width"
    ) -> pd.DataFrame:
        """Accuracy by confidence; see `featstore.analysis.reliability`."""
        from featstore.analysis.reliability import reliability

        return reliability(self.predictions, n_bins=n_bins, binning=binning)

    def __repr__(self) -> str:
        first = self.metrics.iloc[0]
        return (
            f"<ProbeRun {self.name}{' (non-linear)' if self.config.nonlinear else ''}: "
            f"{first.metric} {first.value:.4f} "
            f"[{first.low:.4f}, {first.high:.4f}] on {self.config.n_test} rows>"
        )

    def save(self, folder: Path) -> None:
        """Write the run as a Zarr group into a folder that does not exist yet."""
        import zarr

        group = zarr.create_group(scratch_store(folder), zarr_format=3)
        predictions = self.predictions
        ids, id_offsets = pack(predictions.ids)
        columns: dict[str, NDArray[Any]] = {
            "ids": ids,
            "id_offsets": id_offsets,
            "truth": predictions.truth.astype(np.uint8 if predictions.multilabel else np.int32),
            "scores": predictions.scores,
            "seen": predictions.seen.astype(np.uint8),
        }
        if self.head is not None:
            columns |= {
                "head_coef": self.head.coef,
                "head_intercept": self.head.intercept,
                "head_classes": self.head.classes,
                "head_mean": self.head.scaling.mean,
                "head_scale": self.head.scaling.scale,
            }
        if self.thresholds is not None:
            columns |= {
                "thresholds": self.thresholds.per_class,
                "thresholds_common": self.thresholds.common,
                "thresholds_source": self.thresholds.source,
            }
        for name, values in columns.items():
            write_column(group, name, values)
        fields = {
            "name": self.name,
            "request": self.request,
            "config": dataclasses.asdict(self.config),
            "classes": list(predictions.classes),
            "metrics": _records(self.metrics),
            "selection": _records(self.selection),
            "fold_scores": _records(self.fold_scores),
            "certificate": dict(self.certificate),
            "head_link": _link_fields(self.head),
            "provenance": dict(self.provenance),
        }
        # JSON knows no NaN; other languages' readers stumble over Python's.
        group.attrs["run"] = json.loads(json.dumps(fields), parse_constant=lambda _: None)

    @classmethod
    def load(cls, store: Any) -> ProbeRun:
        """Read what `save` wrote, from a path or another store of zarr-python."""
        import zarr

        group = zarr.open_group(store, mode="r")
        fields: Any = group.attrs["run"]
        columns = read_columns(group, _PREDICTIONS + _HEAD + _THRESHOLDS)
        truth = columns["truth"]
        head = thresholds = None
        if "thresholds" in columns:
            thresholds = Thresholds(*(columns[name] for name in _THRESHOLDS))
        if "head_coef" in columns:
            head = Head(
                coef=columns["head_coef"],
                intercept=columns["head_intercept"],
                classes=columns["head_classes"],
                scaling=BlockScaling(
                    kind=fields["config"]["scaling"],
                    dims=tuple(fields["config"]["dims"]),
                    mean=columns["head_mean"],
                    scale=columns["head_scale"],
                ),
                link=Link(**fields["head_link"]) if fields.get("head_link") else None,
            )
        return cls(
            name=fields["name"],
            config=RunConfig.from_json(fields["config"]),
            predictions=Predictions(
                ids=unpack(columns["ids"], columns["id_offsets"]),
                classes=tuple(fields["classes"]),
                truth=truth.astype(bool) if truth.ndim == 2 else truth,
                scores=columns["scores"],
                seen=columns["seen"].astype(bool),
            ),
            metrics=_frame(fields["metrics"], ["metric", "value", "low", "high", "n"]),
            selection=_frame(fields["selection"], ["value", "score", "se", "rows", "chosen"]),
            certificate=fields["certificate"],
            head=head,
            provenance=fields["provenance"],
            fold_scores=_frame(fields.get("fold_scores", []), _FOLD_SCORES),
            thresholds=thresholds,
            request=fields.get("request", ""),
        )


def compare(a: ProbeRun, b: ProbeRun, *, n_boot: int = 1000, seed: int = 0) -> Comparison:
    """Compare run b to run a on the test rows that both have.

    See `featstore.analysis.compare.compare`.

    Raises
    ------
    InvalidInputError
        If the runs are of different targets.
    """
    from featstore.analysis.compare import compare as compare_predictions

    check_targets(a, b)
    return compare_predictions(a.predictions, b.predictions, n_boot=n_boot, seed=seed)


def granularity_gap(
    a: ProbeRun,
    b: ProbeRun,
    taxonomy: Taxonomy | str | Path,
    *,
    rule: Literal["argmax", "sum"] = "argmax",
    of: str | None = None,
    n_boot: int = 1000,
    seed: int = 0,
) -> GranularityGap:
    """Compare run b to run a at every level of a taxonomy, and find where the gap opens.

    See `featstore.analysis.granularity_gap.granularity_gap`.

    Raises
    ------
    InvalidInputError
        If the runs are of different targets.
    """
    from featstore.analysis.granularity_gap import granularity_gap as gap_of_predictions

    check_targets(a, b)
    return gap_of_predictions(
        a.predictions,
        b.predictions,
        _taxonomy(taxonomy),
        rule=rule,
        of=of,
        n_boot=n_boot,
        seed=seed,
    )


def check_targets(a: ProbeRun, b: ProbeRun) -> None:
    """Refuse runs of different targets."""
    if a.config.target != b.config.target:
        raise InvalidInputError(
            f"{a.name} predicts {a.config.target!r} and {b.name} {b.config.target!r}; only runs "
            "of one target can be compared"
        )


def _taxonomy(source: Taxonomy | str | Path) -> Taxonomy:
    from featstore.taxonomy import Taxonomy

    return source if isinstance(source, Taxonomy) else Taxonomy.from_file(source)


def _link_fields(head: Head | None) -> dict[str, Any] | None:
    return None if head is None or head.link is None else dataclasses.asdict(head.link)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON-able dictionaries."""
    return [
        {str(key): value for key, value in row.items()}
        for row in frame.astype(object).to_dict("records")
    ]


def _frame(records: Sequence[Mapping[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Undo `_records`; a number that is null was NaN, and so is a column that is not there."""
    frame = pd.DataFrame(records, columns=columns)
    numbers = [name for name in ("value", "low", "high", "score", "se", "rows") if name in frame]
    return frame.astype(dict.fromkeys(numbers, float))
