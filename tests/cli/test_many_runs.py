"""`featstore cross-domain`, and `featstore compare` of many runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

from featstore.cli.main import group
from featstore.store import FeatureStore

RIDGE = ("--probe", "ridge", "--value", "1")


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def run_json(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(group, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores; the second lacks a run."""
    root = tmp_path_factory.mktemp("stores")
    made = []
    for name, n_train, features in (("a", 900, ("pixels", "pca")), ("b", 1000, ("pixels",))):
        store = make_digits_store(root / f"{name}.zarr", n_train=n_train)
        for feature in features:
            run("probe", store.path, "--features", feature, *RIDGE, "--name", feature)
        made.append(store.path)
    return made


def test_cross_domain(places: list[Path], tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("t.md", "t.tex", "t.csv", "t.svg", "r.svg")]
    for out in files[:3]:
        result = run("cross-domain", *places, "--out", out, "--plot", files[3])
    assert "pca on b: no run of this protocol" in result.stderr
    assert "not distinguishable from the best" in result.stdout
    assert "**" in files[0].read_text()
    assert r"\toprule" in files[1].read_text()
    assert len(pd.read_csv(files[2])) == 4
    assert files[3].read_text().startswith("<svg")
    document = run_json(
        "cross-domain",
        *(f"{path.stem.upper()}={path}" for path in places),
        "--pretrained-on",
        "pca=b",
        "--features",
        "pixels",
        "--features",
        "pca",
        "--run-missing",
        "--critical-difference",
        "nemenyi",
        "--plot-ranks",
        files[4],
    )
    assert [row["dataset"] for row in document["datasets"]] == ["A", "B"]
    assert [row["in_domain"] for row in document["cells"]] == [None, False, None, True]
    assert document["critical_difference"]["datasets"] == ["A", "B"]
    assert files[4].read_text().startswith("<svg")
    assert "mean ranks" in run("cross-domain", *places, "--critical-difference", "wilcoxon").stdout


def test_cross_domain_refuses(places: list[Path], tmp_path: Path) -> None:
    assert ".md" in refused("cross-domain", *places, "--out", tmp_path / "t.pdf")
    assert ".svg" in refused("cross-domain", *places, "--plot", tmp_path / "t.gif")
    assert "go with" in refused("cross-domain", *places, "--complete")
    assert "name every store" in refused("cross-domain", f"A={places[0]}", places[1])
    assert "one name" in refused("cross-domain", f"A={places[0]}", f"A={places[1]}")
    assert "dinov2=lvd142m" in refused("cross-domain", *places, "--pretrained-on", "pca")


def test_compare_all_pairs(places: list[Path], tmp_path: Path) -> None:
    store = places[0]
    run("probe", store, "--fuse", "pca,pixels", *RIDGE, "--name", "both")
    document = run_json("compare", store, "pixels", "pca", "both", "--adjust", "bh")
    assert [len(document[name]) for name in ("runs", "pairs")] == [3, 3]
    assert document["adjustment"] == "bh"
    plot = tmp_path / "runs.svg"
    output = run("compare", store, "--all-pairs", "--preset", "ridge", "--plot", plot).stdout
    assert "McNemar, exact" in output
    assert "both" in output
    assert plot.read_text().startswith("<svg")


def test_compare_refuses(places: list[Path], tmp_path: Path) -> None:
    store = places[0]
    assert "two runs or more" in refused("compare", store, "pixels")
    assert "choose one of" in refused("compare", store, "--all-pairs", "--seeds-and-draws")
    assert "0 such runs" in refused("compare", store, "--all-pairs", "--preset", "lda")
    assert "--plot draws" in refused("compare", store, "pixels", "pca", "--plot", "x.svg")
    assert "--all-pairs" in refused("compare", store, "pixels", "pca", "--metric", "top1")


def test_two_runs_on_other_rows_are_compared_on_request(places: list[Path]) -> None:
    store = FeatureStore.open(places[0])
    whole = store.run("pixels")
    p = whole.predictions
    fewer = dataclasses.replace(p, ids=p.ids[3:], truth=p.truth[3:], scores=p.scores[3:])
    store.save_run(dataclasses.replace(whole, name="fewer", predictions=fewer))
    try:
        assert "measured on different rows: 0 rows of a and 3 of b" in refused(
            "compare", store.path, "fewer", "pca"
        )
        assert "3 of b" in run("compare", store.path, "fewer", "pca", "--common").stderr
        assert "rows left out: 3 of pixels, 3 of pca" in " ".join(
            run("compare", store.path, "fewer", "pixels", "pca", "--common").stderr.split()
        )
    finally:
        store.delete_run("fewer")


def test_seeds_and_draws(tmp_path: Path) -> None:
    store = make_digits_store(tmp_path / "d.zarr")
    run("subset", store.path, "--sizes", "200", "--draws", "2")
    for subset in store.subsets:
        for feature in ("pixels", "pca"):
            for seed in "01":
                run(
                    "probe",
                    store.path,
                    "--features",
                    feature,
                    *RIDGE,
                    "--subset",
                    subset,
                    "--seed",
                    seed,
                )
    figure = tmp_path / "noise.svg"
    output = run("compare", store.path, "--seeds-and-draws", "--plot", figure).stdout
    assert "mean over seeds and draws" in figure.read_text()
    assert "residual" in output
    assert "b - a in points" in output
    document = run_json("compare", store.path, "--seeds-and-draws", "--preset", "ridge")
    assert (document["n_seeds"], document["n_draws"]) == (2, 2)
    assert len(document["components"]) == 6


def test_extract_notes_what_weights_were_learned_from(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("x", "y"):
        for i in range(3):
            path = tmp_path / "images" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    extract = [
        "extract",
        tmp_path / "images",
        "-b",
        "net=random/resnet18?size=32",
        "-b",
        "other=random/resnet18?size=32&seed=1",
        "-o",
        tmp_path / "s.zarr",
        "--pretrained-on",
        "nothing",
        "--pretrained-on",
        "net=inat21,places365",
    ]
    run(*extract)
    store = FeatureStore.open(tmp_path / "s.zarr")
    assert store.feature("net").spec.backbone.pretrained_on == ("inat21", "places365")
    assert store.feature("other").spec.backbone.pretrained_on == ("nothing",)
    run(*extract)  # what it says already, it may be told again
    assert "is stored already" in refused(*extract[:-1], "net=inat21")
    assert "'nets'" in refused(*extract[:-1], "nets=inat21")
