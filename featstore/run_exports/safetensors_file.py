"""safetensors: the numbers of a head and of its scaling, and in the metadata what they mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from featstore.exchange import KEY
from featstore.new_file import new_file
from featstore.run_exports.model import RunModel


def write(model: RunModel, path: Path) -> None:
    """Write ``coef`` (c, d), ``intercept`` (c,), ``mean`` (d,) and ``scale`` (d,).

    Scores are ``((x - mean) * scale) @ coef.T + intercept``; where the scaling is ``l2``, every
    block of x is first divided by its norm.  The metadata's key ``featstore`` holds JSON: classes,
    dimensions of the blocks, specs of the features, and the link from scores to probabilities.
    """
    from safetensors.numpy import save_file

    head = model.head
    tensors = {
        "coef": head.coef,
        "intercept": head.intercept,
        "mean": head.scaling.mean,
        "scale": head.scaling.scale,
    }
    document = json.dumps(model.document(), ensure_ascii=False)
    with new_file(path) as temporary:
        save_file(
            {name: np.ascontiguousarray(values) for name, values in tensors.items()},
            temporary,
            metadata={KEY: document},
        )
