"""Tables of a model card."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from featstore.html_report.provenance import Feature, Provenance
from featstore.run import ProbeRun
from featstore.run_exports.published import published
from featstore.store import FeatureStore
from featstore.typeset.markdown import escaped

_WEAKEST = 10
_PIPE = re.compile(r"(?<!\\)\|")


def features_table(known: Provenance) -> str:
    """Backbones of a run, a column for each."""
    names = [feature.info.name for feature in known.features]
    rows = {name: _of_feature(feature) for name, feature in zip(names, known.features, strict=True)}
    if not rows:
        return "The run's features are not in the store any more."
    keys = list(next(iter(rows.values())))
    return _table(
        pd.DataFrame(
            [[key, *(rows[name][key] for name in names)] for key in keys], columns=["", *names]
        )
    )


def _of_feature(feature: Feature) -> dict[str, str]:
    spec = feature.info.spec
    backbone = spec.backbone
    return {
        "source": f"`{published(backbone.source)}`",
        "architecture": backbone.architecture,
        "weights": published(backbone.weights),
        "digest of the weights": f"`{backbone.weights_digest}`",
        "pretrained on": ", ".join(backbone.pretrained_on) or "not recorded",
        "layer, pooling": f"{backbone.layer}, {backbone.pooling}",
        "values": f"{backbone.dim} {spec.dtype}",
        "pixels": feature.transform,
        "computed in": f"{spec.numerics or 'not known'}, {feature.engine or 'engine not recorded'}",
        "digest of the feature": f"`{spec.digest}`",
    }


def splits_table(store: FeatureStore, run: ProbeRun) -> str:
    """Rows of each split, and how many of them have a label and features."""
    _, target = store.target(run.config.target)
    names = [name for name in run.config.features if name in store.features]
    excluded = {row for name in names for row in store.feature(name).excluded}
    usable = target.labelled.copy()
    usable[sorted(excluded)] = False
    splits = store.samples.splits
    lines = [
        {
            "split": split,
            "rows": int(np.sum(splits == split)),
            "labelled, readable": int(np.sum(usable & (splits == split))),
        }
        for split in store.samples.split_names
    ]
    return _table(pd.DataFrame(lines))


def metrics_table(run: ProbeRun) -> str:
    """Every metric with its interval, in percent."""
    lines = [
        {
            "metric": line["metric"],
            "percent": f"{100 * line['value']:.2f}",
            "95 % interval": f"{100 * line['low']:.2f} – {100 * line['high']:.2f}",
            "rows": f"{line['n']:g}",
        }
        for line in run.metrics.to_dict("records")
    ]
    return _table(pd.DataFrame(lines).replace({"nan": "–", "nan – nan": "–"}))


def classes_table(run: ProbeRun) -> str:
    """Give the ten classes with the lowest accuracy (multi-label: average precision)."""
    frame = run.per_class()
    measure = "average_precision" if run.predictions.multilabel else "accuracy"
    reported = frame[frame["n"] > 0].nsmallest(_WEAKEST, measure, keep="first")
    lines = [
        {
            "class": escaped(line["class"]),
            f"{measure.replace('_', ' ')}, percent": f"{100 * line[measure]:.1f}",
            "95 % interval": f"{100 * line['low']:.1f} – {100 * line['high']:.1f}",
            "test rows": f"{line['n']}",
        }
        | (
            {}
            if run.predictions.multilabel
            else {"taken for": escaped(line["most_confused_with"] or "–")}
        )
        for line in reported.to_dict("records")
    ]
    return _table(pd.DataFrame(lines))


def pairs_table(pairs: Sequence[tuple[str, str]]) -> str:
    """Lay pairs out in two columns."""
    return _table(pd.DataFrame(list(pairs), columns=["", " "]))


def _table(frame: pd.DataFrame) -> str:
    # Cells may hold Markdown of their own; only what would end a cell is escaped.
    rows = [list(map(str, frame.columns)), *frame.astype(str).to_numpy().tolist()]
    lines = ["| " + " | ".join(_PIPE.sub(r"\\|", cell) for cell in row) + " |" for row in rows]
    lines.insert(1, "|---|" + "--:|" * (frame.shape[1] - 1))
    return "\n".join(lines)
