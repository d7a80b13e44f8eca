"""A store with runs on handwritten digits, for tests of the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from small_store import fill

from featstore.history import environment, record
from featstore.metrics import evaluate_metrics
from featstore.predictions import Predictions
from featstore.run import ProbeRun
from featstore.run_config import RunConfig
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

NAMES = [f'<b>{word}</b> & "{word}"' for word in ("ant", "bee", "cat", "dog", "eel")]
NAMES += ["fox", "gnu", "hen", "ibis", "jay"]


def make_run(
    store: FeatureStore,
    features: tuple[str, ...],
    target: str = "digit",
    *,
    probe: str = "logistic",
    rows: NDArray[np.intp] | None = None,
    name: str | None = None,
    scores: NDArray[np.float32] | None = None,
    **changes: object,
) -> ProbeRun:
    """A run fitted by scikit-learn."""
    labels = store.samples.targets[target]
    train = store.rows("train")
    test = store.rows("test") if rows is None else rows
    X = np.asarray(store.view(list(features)))
    if scores is None:
        if labels.kind == "multi":
            model = OneVsRestClassifier(LogisticRegression(max_iter=1000))
        elif probe == "knn":
            model = KNeighborsClassifier(10)
        else:
            model = LogisticRegression(max_iter=1000)
        scores = model.fit(X[train], labels.codes[train]).predict_proba(X[test])
    predictions = Predictions(
        ids=store.samples.ids[test],
        classes=labels.classes,
        truth=labels.codes[test],
        scores=scores.astype(np.float32),
        seen=np.ones(len(labels.classes), bool),
    )
    config = RunConfig(
        features=features,
        spec_digests=tuple(store.feature(feature).spec.digest for feature in features),
        dims=(X.shape[1],),
        target=target,
        probe=probe,
        preset={"knn": "dinov2-knn"}.get(probe, probe),
        parameter="k" if probe == "knn" else "C",
        value=10.0 if probe == "knn" else 1.0,
        selected_on="20% of train",
        scaling="none",
        train_split="train",
        test_split="test",
        n_train=len(train),
        n_test=len(test),
        seed=0,
    )
    config = dataclasses.replace(config, **changes)  # type: ignore[arg-type]
    values = [10.0, 20.0, 100.0] if probe == "knn" else [0.01, 0.1, 1.0, 10.0]
    certificate = {
        "objective": 0.1,
        "gradient_norm": 1e-7,
        "gap_bound": 1e-9,
        "relative_gap": 1e-8,
        "converged": True,
        "n_iter": 12,
        "passes": 14.0,
        "solver": "kfac-lbfgs float32",
    }
    return ProbeRun(
        name=name or f"{probe}-{'+'.join(features)}-{target}",
        config=config,
        predictions=predictions,
        metrics=evaluate_metrics(predictions, n_boot=100),
        selection=pd.DataFrame(
            {
                "value": values,
                "score": np.linspace(0.5, 0.7, len(values)),
                "chosen": [value == config.value for value in values],
            }
        ),
        certificate={} if probe == "knn" else certificate,
        head=None,
        provenance=environment(),
    )


def report_store(folder: Path) -> FeatureStore:
    """Handwritten digits as two half images, six runs on them, and one of several labels."""
    digits = load_digits()
    X = (digits.data[:800] / 16).astype(np.float32)
    n = len(X)
    samples = Samples(
        ids=np.asarray([f"digit & <{i:04d}>" for i in range(n)]),
        splits=np.where(np.random.default_rng(0).random(n) < 0.6, "train", "test"),
        targets={
            "digit": Target.from_labels([NAMES[i] for i in digits.target[:800]]),
            "tags": Target.from_label_sets(
                [
                    ["even"] * (i % 2 == 0) + ["<round>"] * (i in (0, 6, 8, 9))
                    for i in digits.target[:800].tolist()
                ]
            ),
        },
    )
    source = {"kind": "folder", "root": '/data/<digits> & "more"'}
    store = FeatureStore.create(folder / "d.zarr", samples, source=source)
    fill(store, "upper", X[:, :24], dtype="float32", weights="a")
    fill(store, "lower", X[:, 40:], dtype="float32", weights="b")
    for probe in ("logistic", "knn"):
        for features in (("upper",), ("lower",), ("upper", "lower")):
            run = make_run(store, features, probe=probe)
            store.save_run(run)
            record(store.folder, "probe", run=run.name)
    store.save_run(make_run(store, ("upper", "lower"), "tags"))
    names = sorted(NAMES)
    coarse = ["animal" if name[0] == "<" else "bird & co" for name in names]
    frame = pd.DataFrame({"digit": names, "<group>": coarse})
    store.save_taxonomy("groups", Taxonomy.from_frame(frame))
    return store
