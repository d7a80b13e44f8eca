"""Header of a model card: YAML that model hubs read."""

from __future__ import annotations

import json
import math
from typing import Any

from featstore.run import ProbeRun
from featstore.store import FeatureStore

#: Names of metrics as hubs know them.
_METRICS = {"top1": "accuracy", "mAP": "mean_average_precision", "macro_f1": "f1"}


def header(store: FeatureStore, run: ProbeRun) -> str:
    """Return the front matter of a card, between ``---`` lines.

    Values are written as JSON, which YAML contains.
    """
    source = store.attributes["source"]
    results = [
        {
            "type": _METRICS.get(line["metric"], line["metric"]),
            "name": line["metric"],
            "value": round(float(line["value"]), 6),
        }
        for line in run.metrics.to_dict("records")
        if not math.isnan(line["value"])
    ]
    kind = str(source.get("kind", "images"))
    fields: dict[str, Any] = {
        "library_name": "featstore",
        "pipeline_tag": "image-classification",
        "tags": ["frozen-features", run.config.probe, *_architectures(store, run)],
        "metrics": [result["type"] for result in results],
        "model-index": [
            {
                "name": run.name,
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {
                            "type": kind,
                            "name": f"{kind}, {run.config.target}",
                            "split": run.config.test_split,
                        },
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _architectures(store: FeatureStore, run: ProbeRun) -> list[str]:
    stored = [name for name in run.config.features if name in store.features]
    return list(dict.fromkeys(store.feature(n).spec.backbone.architecture for n in stored))
