"""A small stored run, made of numbers that need no probe."""

from __future__ import annotations

import numpy as np
import pandas as pd

from featstore.predictions import Predictions
from featstore.run import ProbeRun, RunConfig


def make_run(name: str, *, seed: int, n: int = 6) -> ProbeRun:
    """Scores of three classes on `n` rows, drawn by `seed`; nothing in it tells the time."""
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
            ids=np.asarray([f"ü/{i}.jpg" for i in range(n)]),
            classes=("a", "b", "c"),
            truth=rng.integers(0, 3, n),
            scores=rng.random((n, 3)).astype(np.float32),
            seen=np.ones(3, bool),
        ),
        metrics=pd.DataFrame([{"metric": "top1", "value": 0.5, "low": 0.4, "high": 0.6, "n": n}]),
        selection=pd.DataFrame(columns=["value", "score", "chosen"]),
        certificate={},
        head=None,
        provenance={},
    )
