"""Studies: the runs of `featstore.probe`, planned, shared, resumed, redone where they changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from same_bits import same_bits
from small_store import fill, make_spec

import featstore as fs
from featstore.errors import InvalidInputError
from featstore.fixed_threads import fixed_threads
from featstore.store import FeatureStore
from featstore.study.table import pivot, sheet

GRID = """
features = ["pixels"]
fusions = [["pca", "pixels"]]
probes = [
    { preset = "ridge-loo" },
    "lda",
    { probe = "logistic", value = 0.1 },
    { probe = "svm", value = 0.1 },
]
presets = ["simpleshot"]
targets = ["digit", "tags"]
scalings = ["none", "l2"]
subsets = ["all", "200"]
settings = { n_boot = 20 }

[[exclude]]
scaling = "l2"
features = "pixels"

[[exclude]]
preset = "simpleshot"
target = "tags"

[[exclude]]
target = "tags"
scaling = "l2"

[[exclude]]
target = "tags"
subset = "200"

[[exclude]]
subset = "200"
scaling = "l2"

[[exclude]]
subset = "200"
features = ["pca", "pixels"]

[[cell]]
features = "pca"
probe = "knn"
target = "tags"
"""


def test_every_cell_is_the_run_that_probe_makes(
    store: FeatureStore, write_study: Callable[[str], Path], tmp_path: Path
) -> None:
    study = fs.Study.from_toml(write_study(GRID))
    plan = study.run()
    # Pixels of all rows and of the subset, the fusion plain and scaled: 5 probes of one target; of
    # the other 4, of pixels and of the fusion; and a cell by itself.
    assert plan.counts == {"done": 4 * 5 + 2 * 4 + 1}
    for planned in plan.cells:
        cell, found = planned.cell, store.run(str(planned.run))
        told = {k: v for k, v in vars(cell.arguments).items() if v is not None}
        with fixed_threads(1):
            alone = fs.probe(store, cell.features, save=False, **told)
        alone.save(tmp_path / found.name)
        assert same_bits(found, fs.ProbeRun.load(tmp_path / found.name)), cell


def test_workers_change_no_bit_and_are_gone_afterwards(
    store: FeatureStore, write_study: Callable[[str], Path], tmp_path: Path
) -> None:
    import multiprocessing

    short = 'probes = ["ridge"]\nfeatures = ["pixels"]\nfusions = [["pixels", "pca"]]\nseeds=[0, 1]'
    study = fs.Study.from_toml(write_study(short))
    shutil.copytree(store.path, tmp_path / "other" / "d.zarr")
    other = fs.Study(**{**vars(study), "folder": tmp_path / "other", "failures": None})
    assert study.run().counts == {"done": 4}
    assert other.run(engine="processes", workers=2).counts == {"done": 4}
    assert not multiprocessing.active_children()
    copy = FeatureStore.open(tmp_path / "other" / "d.zarr")
    assert copy.runs == store.runs
    for name in store.runs:
        assert same_bits(store.run(name), copy.run(name))


def test_nothing_is_made_twice_and_only_what_changed_is_redone(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    lists = 'probes = ["ridge", {{ probe = "logistic", value = {} }}]\nsettings = {{ n_boot = {} }}'
    study = fs.Study.from_toml(write_study(lists.format(0.1, 10)))
    # A run of the command line counts.
    fs.probe(store, "pca", probe="ridge", n_boot=10)
    assert study.plan().counts == {"done": 1, "pending": 3}
    first = study.run()
    times = {name: store.run(name).provenance["time"] for name in store.runs}
    assert first.counts == {"done": 4}
    before = {p.name: p.stat().st_mtime_ns for p in (store.path / "runs").glob("*/zarr.json")}
    assert study.run().counts == {"done": 4}
    assert before == {
        p.name: p.stat().st_mtime_ns for p in (store.path / "runs").glob("*/zarr.json")
    }
    assert times == {name: store.run(name).provenance["time"] for name in store.runs}

    changed = fs.Study.from_toml(write_study(lists.format(0.2, 10))).status()
    assert set(changed[changed["state"] == "pending"]["probe"]) == {"logistic, value 0.2"}
    assert (
        fs.Study.from_toml(write_study(lists.format(0.1, 11))).status()["state"] == "pending"
    ).all()

    X = store.view("pca").array().copy()
    store.delete_feature("pca")
    fill(store, "pca", X, dtype="float32", weights="1")
    state = study.status().set_index("features")["state"]
    assert set(state["pca"]) == {"pending"}
    assert set(state["pixels"]) == {"done"}

    store.delete_run(first.frame["run"].iloc[-1])
    assert study.plan().counts == {"pending": 3, "done": 1}


def test_a_failure_stops_no_other_cell_and_is_tried_again(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    writer = store.writer("late", make_spec(store.samples, dim=16))
    path = write_study('probes = ["ridge", { probe = "knn", value = 5000 }]')
    plan = fs.Study.from_toml(path).run()
    failed = plan.frame[plan.frame["state"] == "failed"]
    assert plan.counts == {"done": 2, "failed": 4}
    errors = failed.set_index(["features", "probe"])["error"]
    messages = failed.set_index(["features", "probe"])["message"]
    assert errors["late", "ridge"] == "NotSealedError"
    assert "k=5000 neighbours cannot be had" in messages["pca", "knn, value 5000"]

    # Known without another try, from the file beside the study.
    assert fs.Study.from_toml(path).plan().counts == plan.counts
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, store.view("pca").array()[rows.start : rows.stop])
    writer.seal()
    mended = fs.Study.from_toml(path)
    assert mended.plan().counts == {"done": 2, "failed": 2, "pending": 2}
    assert mended.run(retry=False).counts == {"done": 3, "failed": 3}
    assert mended.run().counts == {"done": 3, "failed": 3}
    assert len(json.loads((path.parent / "study.failures.json").read_text())["failures"]) == 3


def test_a_cell_that_the_store_refuses_says_so_in_the_plan(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    path = write_study(
        'probes = [{ probe = "ridge", max_memory = "1GB", engine = "faiss" }, "lda"]'
    )
    frame = fs.Study.from_toml(path).run().frame
    assert dict(frame.groupby("probe")["state"].first()) == {
        "lda": "done",
        "ridge, max_memory 1GB, engine faiss": "failed",
    }


def test_runs_of_one_name_are_refused(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    text = 'probes = [{ probe = "ridge" }, { probe = "ridge", engine = "sklearn" }]'
    with pytest.raises(InvalidInputError, match="two cells would make runs of one name"):
        fs.Study.from_toml(write_study(text)).plan()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'feature = ["pca"]',
            r"feature = \['pca'\]: a study has no such key. Did you mean features",
        ),
        (
            'features = ["pcb"]',
            r"features\[0\] = 'pcb': there is no such feature. Did you mean pca",
        ),
        ('fusions = ["pca"]', r"fusions\[0\] = 'pca': a fusion is a list"),
        ('fusions = [["pca", "pixel"]]', r"fusions\[0\]\[1\] = 'pixel'.*Did you mean pixels"),
        ('targets = ["digits"]', r"targets\[0\] = 'digits'.*Did you mean digit"),
        ('subsets = ["20"]', r"subsets\[0\] = '20'.*Did you mean 200"),
        ('probes = ["logistics"]', r"probes\[0\].probe = 'logistics'.*Did you mean logistic"),
        (
            'presets = ["simple-shot"]',
            r"presets\[0\].preset = 'simple-shot'.*Did you mean simpleshot",
        ),
        ("seeds = [0, 1.5]", r"seeds\[1\] = 1.5: a whole number is expected"),
        ("seeds = 3", "seeds = 3"),
        ('scalings = ["L2"]', r"scalings\[0\] = 'L2': no such choice.*l2"),
        ("[settings]\nfold = 3", r"settings.fold = 3: there is no such setting.*folds"),
        ("[settings]\nfolds = true", r"settings.folds = True: a whole number is expected"),
        ('[settings]\nselect = "kfolds"', r"settings.select = 'kfolds'.*Did you mean kfold"),
        ("[settings]\nseed = 3", r"settings.seed = 3: there is no such setting"),
        ('probes = [{ probe = "knn", values = 3 }]', r"probes\[0\].values = 3.*Did you mean value"),
        ('[[exclude]]\nprobe = "knn"', r"exclude\[0\] = .*: no cell is like this"),
        ('[[cell]]\nprobe = "knn"', r"cell\[0\]: a cell has features"),
        ('[[cell]]\nfeatures = "pcb"', r"cell\[0\].features = 'pcb'.*Did you mean pca"),
        ('[[cell]]\nfeatures = "pca"\nstore = "e.zarr"', r"cell\[0\].store = .*no such store"),
        ("threads = 0", "threads = 0: at least 1"),
        ("features = [", "is not a TOML file"),
    ],
)
def test_mistakes_are_named_with_their_place(
    store: FeatureStore, write_study: Callable[[str], Path], text: str, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=f"(?s){message}"):
        fs.Study.from_toml(write_study(text)).plan()
    assert store.runs == []


def test_stores_may_have_lists_of_their_own(store: FeatureStore, tmp_path: Path) -> None:
    shutil.copytree(store.path, tmp_path / "e.zarr")
    own = {"path": "e.zarr", "features": ["pca"], "targets": ["tags"]}
    study = fs.Study(["d.zarr", own], probes=["centroid"], folder=tmp_path)
    rows = study.status()[["store", "features", "target"]].assign(
        store=lambda frame: frame["store"].map(lambda path: Path(path).name)
    )
    assert rows.to_numpy().tolist() == [
        ["d.zarr", "pca", "digit"],
        ["d.zarr", "pixels", "digit"],
        ["e.zarr", "pca", "tags"],
    ]


def test_tables_are_those_of_the_runs(
    store: FeatureStore, write_study: Callable[[str], Path], tmp_path: Path
) -> None:
    lists = 'presets = ["clip-readme", "centroid"]\nseeds = [0, 1]\nsettings = { n_boot = 20 }'
    study = fs.Study.from_toml(write_study(lists))
    assert study.table().empty
    study.run()
    results = study.results()
    for row in results[results["metric"] == "top1"].itertuples():
        assert row.value == store.run(row.run).accuracy
    table = study.table().set_index(["features", "probe"])
    runs = [store.run(name) for name in store.runs]
    accuracies = {
        run.config.features[0]: run.accuracy for run in runs if run.config.preset == "clip-readme"
    }  # of any seed: the solver is exact, and its value is given
    for feature, accuracy in accuracies.items():
        assert table.loc[feature, "clip-readme"]["value"] == pytest.approx(accuracy)
        assert table.loc[feature, "clip-readme"]["best"] == (accuracy == max(accuracies.values()))
    with pytest.raises(InvalidInputError, match=r"no run has the metric 'top2'.*Did you mean"):
        study.table(metric="top2")
    laid = sheet(study.table())
    assert list(laid.columns) == ["features", "clip-readme", "centroid"]
    paper = study.paper_table()
    assert list(paper.to_frame())[:2] == ["features", "clip-readme"]
    assert paper.to_markdown(notes=False).count("**") == 2 * 2
    assert paper.to_latex().count(r"\textbf{") == 2
    over_seeds = study.paper_table(uncertainty="seeds").to_frame().set_index("features")
    spread = study.table().set_index(["features", "probe"])["spread"]
    for feature, probe in spread.index:
        half = (over_seeds[f"{probe} high"] - over_seeds[f"{probe} low"])[feature] / 2
        assert half == pytest.approx(spread[feature, probe])
    assert study.report(tmp_path / "page.html")[0].read_text().count("clip-readme") > 1


def test_means_over_seeds_are_plain() -> None:
    keys = {"store": "s", "target": "t", "subset": "all", "scaling": "none", "probe": "p"}
    frame = pd.DataFrame(
        [
            {**keys, "features": "a", "seed": seed, "run": f"{seed}", "metric": "top1", "n": 9,
             "value": value, "low": value - 0.1, "high": value + 0.1}
            for seed, value in enumerate([0.5, 0.7])
        ]
    )  # fmt: skip
    (row,) = pivot(frame).itertuples()
    assert (row.value, row.seeds) == (pytest.approx(0.6), 2)
    assert (row.low, row.high) == (pytest.approx(0.5), pytest.approx(0.7))
    assert row.spread == pytest.approx(np.std([0.5, 0.7], ddof=1))
