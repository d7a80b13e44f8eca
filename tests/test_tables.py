"""Tables from runs, results and stores: every number is that of its source."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from digits_store import make_digits_store

import featstore as fs
from featstore import tables
from featstore.errors import InvalidInputError
from featstore.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = make_digits_store(tmp_path_factory.mktemp("tables") / "digits.zarr")
    for feature in ("pixels", "pca"):
        for probe in ("ridge", "centroid"):
            fs.probe(store, feature, probe=probe, value=1.0 if probe == "ridge" else None)
    fs.probe(store, "pca", probe="ridge", value=1.0, target="tags", name="tags")
    return store


@pytest.fixture(scope="module")
def runs(store):
    return [store.run(name) for name in store.runs if name != "tags"]


def values(table):
    return table.to_frame().set_index(table.columns[0].name)


def test_leaderboard_of_features_and_probes(store, runs):
    table = tables.leaderboard(runs)
    frame = values(table)
    assert set(frame.index) == {"pixels", "pca"}
    for run in runs:
        probe, feature = run.config.preset, run.config.features[0]
        metric = run.metrics.set_index("metric").loc["top1"]
        assert frame.loc[feature, probe] == metric["value"]
        assert frame.loc[feature, f"{probe} low"] == metric["low"]
    first = table.columns[1].values
    assert list(first) == sorted(first, reverse=True)
    assert tables.leaderboard(runs, order="given").columns[0].values == tuple(
        dict.fromkeys(run.config.features[0] for run in runs)
    )
    by_metric = tables.leaderboard(runs, columns="metric", dims=True)
    names = [column.name for column in by_metric.columns]
    assert names == ["probe", "features", "dim", "top-1", "top-5", "mean per class", "macro F1"]
    assert set(by_metric.to_frame()["dim"]) == {64, 16}


def test_leaderboard_of_a_store_has_a_header_for_each_target(store):
    table = tables.leaderboard(store)
    headers = [(column.group, column.name) for column in table.columns[1:]]
    assert headers == [
        ("digit", "centroid (top-1)"),
        ("digit", "ridge (top-1)"),
        ("tags", "ridge (mAP)"),
    ]
    tags = values(table)["tags: ridge (mAP)"]
    assert tags["pca"] == store.run("tags").metric("mAP")
    assert np.isnan(tags["pixels"])
    assert r"\multicolumn{2}{c}{digit}" in table.to_latex()
    assert tables.leaderboard(store.location).to_frame().equals(table.to_frame())


def test_stores_side_by_side(store):
    table = tables.leaderboard({"one": store, "two": store}, columns=["store", "target", "probe"])
    groups = [column.group for column in table.columns if column.group]
    assert groups == sorted(groups)
    assert groups[0] == "one, digit"


def test_seeds_are_averaged(runs):
    run = runs[0]
    again = dataclasses.replace(
        run,
        config=dataclasses.replace(run.config, seed=1),
        metrics=run.metrics.assign(value=run.metrics["value"] - 0.02),
    )
    mean = tables.leaderboard([run, again]).to_frame()
    assert mean.iloc[0, 1] == pytest.approx(run.accuracy - 0.01)
    over = tables.leaderboard([run, again], uncertainty="seeds")
    spread = np.std([0, 0.02], ddof=1)
    assert over.to_frame().iloc[0, 3] - over.to_frame().iloc[0, 1] == pytest.approx(spread)
    assert "standard deviations over 2 seeds" in over.told[-1]
    with pytest.raises(InvalidInputError, match="no two runs differ in their seed"):
        tables.leaderboard([run], uncertainty="seeds")


def test_what_was_selected_on_test_says_so(runs):
    config = dataclasses.replace(runs[0].config, selected_on="test", test_split="test")
    table = tables.leaderboard([dataclasses.replace(runs[0], config=config), runs[1]])
    assert "†" in table.to_markdown()
    assert "selected on the reported rows" in table.to_latex(environment=True)


def test_leaderboard_refuses_what_it_cannot_lay_out(runs, store, tmp_path):
    with pytest.raises(InvalidInputError, match="2 runs fit one cell"):
        tables.leaderboard([runs[0], dataclasses.replace(runs[0], name="again")])
    with pytest.raises(InvalidInputError, match=r"no run has the metric 'top2'.*top1"):
        tables.leaderboard(runs, metric="top2")
    with pytest.raises(InvalidInputError, match="told apart by 'probes'"):
        tables.leaderboard(runs, columns="probes")
    with pytest.raises(InvalidInputError, match="no column 'features'"):
        tables.leaderboard(pd.DataFrame({"x": [1]}))
    with pytest.raises(InvalidInputError, match="no runs to tabulate"):
        tables.leaderboard(make_digits_store(tmp_path / "empty.zarr"))


def test_comparison_is_that_of_all_pairs(runs):
    found = fs.all_pairs(runs, n_boot=50)
    table = tables.comparison(found)
    assert table.to_frame()["top-1"].tolist() == found.runs["value"].tolist()
    pair = found.pairs.iloc[0]
    order = list(found.runs["run"])
    row, column = order.index(pair["a"]), order.index(pair["b"])
    cell = table.columns[2 + column]
    assert cell.values[row] == pair["difference"]
    assert cell.low[row] == pair["low"]
    assert (cell.signs[row] == "*") == pair["different"]
    assert sum(v is not None for c in table.columns[3:] for v in c.values) == len(found.pairs)
    labelled = tables.comparison({"mine": runs[0], "other": runs[1]}, n_boot=50)
    assert {name.rpartition(" ")[0] for name in labelled.columns[0].values} == {"mine", "other"}


def halves(run):
    rows = [(name, f"half {i // 5}") for i, name in enumerate(run.predictions.classes)]
    return Taxonomy.from_frame(pd.DataFrame(rows, columns=["digit", "half"]))


def test_granularity_and_classes_are_those_of_the_runs(runs):
    ridge = {run.config.features[0]: run for run in runs if run.config.probe == "ridge"}
    taxonomy = halves(runs[0])
    table = tables.granularity(ridge, taxonomy, n_boot=50)
    for name, run in ridge.items():
        frame = run.granularity(taxonomy, n_boot=50)
        row = values(table).loc[name]
        assert row["digit (10)"] == frame["accuracy"][0]
        assert row["half (2) low"] == frame["low"][1]
    assert values(table).loc["most frequent class", "half (2)"] == frame["chance"][1]
    with pytest.raises(InvalidInputError, match="pass one"):
        tables.granularity(ridge)

    classes = tables.per_class(ridge, order="worst", limit=3)
    expected = ridge["pca"].per_class().set_index("class")
    shown = values(classes)
    assert len(shown) == 3
    assert shown["pca"].tolist() == expected.loc[shown.index, "accuracy"].tolist()
    first = classes.columns[2].values
    assert list(first) == sorted(first)


def test_changed_classes_are_those_of_the_comparison(runs):
    a, b = (next(r for r in runs if r.config.preset == name) for name in ("centroid", "ridge"))
    found = fs.compare(a, b, n_boot=0)
    table = tables.changed_classes({"ridge": (a, b)}, k=3)
    best = found.most_improved(1).iloc[0]
    assert table.columns[0].values[0] == best["class"]
    assert table.columns[1].values[0] == best["gain"]
    assert tables.changed_classes(found, k=3).columns[1].values[0] == best["gain"]
    with pytest.raises(InvalidInputError, match="no class changes"):
        tables.changed_classes((a, a))
    with pytest.raises(InvalidInputError, match="two runs, the baseline first"):
        tables.changed_classes(a)


def test_curves_drops_and_pairs_are_those_of_their_results(store):
    labels = fs.quantity(store, "pca", sizes=(50, 100), draws=2, probe="ridge", value=1.0)
    table = tables.quantity(labels)
    summary = labels.summary[labels.summary["metric"] == "top1"].set_index("n")
    frame = table.to_frame()
    assert frame["50"].tolist() == [summary.loc[50, "mean"]]
    assert frame["100 high"].tolist() == [summary.loc[100, "high"]]
    with pytest.raises(InvalidInputError, match="no metric 'mAP'"):
        tables.quantity(labels, metric="mAP")
    with pytest.raises(InvalidInputError, match="same feature and probe"):
        tables.quantity([labels, labels])

    shots = fs.few_shot(store, "pca", shots=(1, 5), draws=2, probe="centroid")
    chosen = shots.summary[shots.summary["metric"] == "top1"].set_index("shots")
    assert tables.few_shot([shots]).to_frame()["5"].tolist() == [chosen.loc[5, "mean"]]

    pair = fs.fusion(store, [("pixels", "pca")], probe="ridge", value=1.0, controls=False)
    fused = values(tables.fusion(pair))
    assert fused.loc["pixels + pca", "gain"] == pair.pairs["gain"][0]
    assert fused.loc["pixels", "top-1"] == pair.pairs["score_a"][0]
    assert list(fused["dim"]) == [64, 16, 80]


def test_drops_side_by_side(runs):
    from featstore.analysis.corruption_drop import corruption_drop

    a, b = (run.predictions for run in runs[:2])
    found = corruption_drop(a, {"jpeg10": b}, n_boot=20)
    frame = values(tables.corruption_drop({"x": found, "y": found}))
    assert frame.loc["none", "x: top-1"] == found.clean
    assert frame.loc["jpeg10", "y: drop"] == found.drops["drop"][0]
    with pytest.raises(InvalidInputError, match="other corruptions"):
        tables.corruption_drop({"x": found, "y": corruption_drop(a, {"fog": b}, n_boot=0)})


def test_cross_domain_from_stores(store):
    table = tables.cross_domain({"digits": store}, preset="ridge", n_boot=20)
    assert set(values(table).index) == {"pixels", "pca"}
