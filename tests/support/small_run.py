"""A small stored run, made of numbers that need no probe."""

from __future__ import annotations

import numpy as np
import pandas as pd

from featstore.predictions import Predictions
from featstore.run import ProbeRun
from featstore.run_config import RunConfig


def make_run(name: str, *, seed: int, rows: range = range(594, 600)) -> ProbeRun:
    """Scores drawn by `seed` for rows of `make_samples`; nothing in it tells the time."""
    n = len(rows)
    rng = np.random.default_rng(seed)
    config = RunConfig(
        features=("x",),
        spec_digests=("0" * 64,),
        dims=(8,),
        target="label",
        probe="logistic",
        preset="quick",
        parameter="C",
        value=1.0,
        selected_on="fixed",
        scaling="standard",
        train_split="train",
        test_split="test",
        n_train=n,
        n_test=n,
        seed=seed,
    )
    return ProbeRun(
        name=name,
        config=config,
        predictions=Predictions(
            ids=np.asarray([f"ü/{row:06d}.jpg" for row in rows]),
            classes=("class 0", "class 1", "class 2"),
            truth=np.asarray(rows) % 3,
            scores=rng.random((n, 3)).astype(np.float32),
            seen=np.ones(3, bool),
        ),
        metrics=pd.DataFrame([{"metric": "top1", "value": 0.5, "low": 0.4, "high": 0.6, "n": n}]),
        selection=pd.DataFrame(columns=["value", "score", "chosen"]),
        certificate={},
        head=None,
        provenance={},
    )
