"""Cross-domain tables: fair rows, honest gaps, marks that a paired bootstrap supports."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from small_store import fill

import featstore as fs
from featstore.analysis import critical_difference
from featstore.bootstrap import resamples
from featstore.errors import FeatureNotFoundError, InvalidInputError, SpecMismatchError
from featstore.spec import FeatureSpec
from featstore.store import FeatureStore

RIDGE = {"probe": "ridge", "value": 1.0, "n_boot": 50}


def one_seed(store, feature, **options):
    return fs.probe(store, feature, **{**RIDGE, **options})


def noisy(X, seed):
    return X + np.random.default_rng(seed).normal(0, 0.02, X.shape).astype(np.float32)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Three test splits of digits; ``half`` is a real loss, ``near`` nearly none."""
    X, _ = digits()
    made = {}
    for name, n_train in (("small", 400), ("middle", 700), ("large", 1000)):
        store = make_digits_store(tmp_path_factory.mktemp(name) / f"{name}.zarr", n_train=n_train)
        fill(store, "half", X[:, :32])
        fill(store, "near", noisy(X, 0))
        for feature in ("pixels", "half", "near"):
            one_seed(store, feature)
        made[name] = store
    one_seed(made["large"], "pca")
    return made


@pytest.fixture(scope="module")
def table(stores):
    return fs.cross_domain(stores, pretrained_on={"half": "small", "near": ["large", "birds"]})


def cell(table, feature, dataset):
    return table.cells.set_index(["feature", "dataset"]).loc[(feature, dataset)]


def test_values_are_those_of_the_stored_runs(stores, table):
    assert list(table.values.columns) == ["small", "middle", "large"]
    for feature in ("pixels", "half", "near"):
        for name, store in stores.items():
            found = cell(table, feature, name)
            assert found.value == pytest.approx(store.run(found.run).accuracy)
            assert found.low < found.value < found.high
    assert "ridge" in table.protocol
    assert table.datasets["n"].tolist() == [1397, 1097, 797]


def test_marks_are_paired_comparisons_with_the_best(stores, table):
    for name, store in stores.items():
        column = table.cells[(table.cells["dataset"] == name) & (table.cells["missing"] == "")]
        best = column.loc[column["value"].idxmax()]
        predictions = {row.run: store.run(row.run).predictions for row in column.itertuples()}
        right = {run: (p.predicted == p.truth).astype(float) for run, p in predictions.items()}
        # Ids of digits are in order already.
        weights = np.concatenate(list(resamples(len(right[best.run]), n_boot=1000, seed=0)), axis=1)
        assert best["rank"] == 1
        assert best.alike
        for row in column.itertuples():
            alone = fs.compare(store.run(row.run), store.run(best.run))
            assert row.gap == pytest.approx(alone.difference)
            changes = (right[best.run] - right[row.run]) @ weights / len(weights)
            expected = np.quantile(changes, [0.025, 0.975])
            assert (row.gap_low, row.gap_high) == pytest.approx(tuple(expected), abs=1e-6)
            assert row.alike == (expected[0] <= 1e-6)
        assert not cell(table, "half", name).alike
        assert cell(table, "near", name).alike


def test_gaps_are_shown_and_named(table):
    assert table.gaps["feature"].tolist() == ["pca", "pca"]
    assert cell(table, "pca", "small").missing == "no run of this protocol"
    assert np.isnan(table.values.loc["pca", "small"])
    assert "pca on small: no run of this protocol" in table.notes
    assert any("mean ranks leave out middle, small" in note for note in table.notes)
    rank = table.features.set_index("feature")["mean_rank"]
    assert rank["half"] == cell(table, "half", "large")["rank"]


def test_in_domain_cells_are_marked_where_somebody_said(table):
    assert cell(table, "half", "small").in_domain is True
    assert cell(table, "half", "large").in_domain is False
    assert cell(table, "near", "large").in_domain is True
    assert cell(table, "pixels", "small").in_domain is None
    texts = table.texts().set_index("feature")
    assert "°" in texts.loc["half", "small (top-1)"]
    assert texts.loc["pca", "small (top-1)"] == "–"
    assert texts.loc["near", "pretrained on"] == "large+birds"


def test_tables_for_papers(table):
    markdown, latex = table.to_markdown(), table.to_latex()
    lines = markdown.splitlines()
    assert lines[0] == f"**{table.protocol}**"
    assert lines[2].count("|") == lines[4].count("|") == 7
    assert sum(line.count("**") for line in lines[2:]) == 2 * 3
    assert markdown.count("<u>") == 3
    assert "pca on small: no run of this protocol" in markdown
    assert latex.count(r"\textbf") == 3
    assert latex.count(r"\underline") == 3
    assert latex.count(r"\\") == 5
    assert "°" not in latex
    frame = table.table().to_frame()
    assert frame["large (top-1)"].tolist() == table.values["large"].tolist()


def test_missing_runs_are_fitted_on_request(tmp_path):
    stores = {
        name: make_digits_store(tmp_path / f"{name}.zarr", n_train=n)
        for name, n in (("a", 900), ("b", 1000))
    }
    one_seed(stores["a"], "pixels", scaling="l2", seed=3)
    table = fs.cross_domain(stores, run_missing=True, n_boot=20)
    assert len(table.gaps) == 0
    assert all(len(store.runs) == 2 for store in stores.values())
    for store in stores.values():
        configs = [store.run(name).config for name in store.runs]
        assert {(c.probe, c.scaling, c.seed, c.value) for c in configs} == {("ridge", "l2", 3, 1.0)}
    again = fs.cross_domain(stores, run_missing=True, n_boot=20)
    assert again.cells.equals(table.cells)


def test_runs_made_in_several_ways_are_not_mixed(tmp_path):
    store = make_digits_store(tmp_path / "d.zarr")
    one_seed(store, "pixels")
    one_seed(store, "pca", scaling="l2")
    with pytest.raises(InvalidInputError, match=r"in 2 ways.*--scaling") as found:
        fs.cross_domain([store])
    assert "1 runs: scaling=none" in str(found.value)
    table = fs.cross_domain([store], scaling="l2", n_boot=20)
    assert table.gaps["feature"].tolist() == ["pixels"]
    one_seed(store, "pixels", seed=1, scaling="l2")
    with pytest.raises(InvalidInputError, match="--seed"):
        fs.cross_domain([store], scaling="l2")
    one_seed(store, "pixels", name="again")
    with pytest.raises(InvalidInputError, match=r"2 runs of pixels on d fit.*names"):
        fs.cross_domain([store], scaling="none")


def test_runs_on_other_rows_are_refused(tmp_path):
    store = make_digits_store(tmp_path / "d.zarr")
    run = one_seed(store, "pixels", save=False)
    predictions = run.predictions
    fewer = dataclasses.replace(
        predictions,
        ids=predictions.ids[5:],
        truth=predictions.truth[5:],
        scores=predictions.scores[5:],
    )
    store.save_run(dataclasses.replace(run, predictions=fewer))
    one_seed(store, "pca")
    with pytest.raises(InvalidInputError, match="column d: the runs were measured on different"):
        fs.cross_domain([store])
    table = fs.cross_domain([store], common=True, n_boot=20)
    assert table.datasets["left_out"].tolist() == [5]
    assert any("792 common rows" in note for note in table.notes)


def test_a_name_is_one_backbone_in_all_stores(tmp_path):
    X, _ = digits()
    stores = [make_digits_store(tmp_path / f"{name}.zarr") for name in "ab"]
    for store, weights in zip(stores, "12", strict=True):
        fill(store, "net", X, weights=weights)
    with pytest.raises(SpecMismatchError, match=r"'net' was made in different ways \(a \| b\)"):
        fs.cross_domain(stores)
    assert len(fs.cross_domain(stores, features=["pixels"], n_boot=20).gaps) == 2


def test_runs_of_a_feature_that_has_changed_leave_a_gap(tmp_path):
    X, _ = digits()
    store = make_digits_store(tmp_path / "d.zarr")
    one_seed(store, "pixels")
    store.delete_feature("pixels")
    fill(store, "pixels", X, weights="7")
    table = fs.cross_domain([store], features=["pixels"], n_boot=20)
    assert table.gaps["missing"].tolist() == ["the feature has changed since its run"]


def test_many_labels_and_fused_rows(stores):
    store = stores["large"]
    for features in ("pixels", ["pca", "pixels"]):
        one_seed(store, features, target="tags")
    one_seed(store, ["pca", "pixels"])
    table = fs.cross_domain(
        [store], features=["pixels", ["pca", "pixels"]], targets=["digit", "tags"], n_boot=50
    )
    assert table.datasets["metric"].tolist() == ["top1", "mAP"]
    assert table.datasets["dataset"].tolist() == ["large: digit", "large: tags"]
    found = cell(table, "pca + pixels", "large: tags")
    assert found.value == pytest.approx(store.run(found.run).metric("mAP"))
    assert len(table.gaps) == 0


def test_features_are_ranked_over_data_sets(table):
    with pytest.raises(InvalidInputError, match=r"2 values are missing, .* pca on small"):
        table.critical_difference()
    rows = table.values.drop(index="pca")
    found = critical_difference(rows, post_hoc="nemenyi")
    assert found.ranks["method"].iloc[-1] == "half"
    with pytest.raises(InvalidInputError, match="two methods on two data sets"):
        table.critical_difference(complete=True)


def test_what_makes_no_table_is_refused(stores):
    for arguments, error, message in (
        ({"stores": []}, InvalidInputError, "at least one store"),
        ({"targets": ["digits"]}, FeatureNotFoundError, "no target 'digits'. Did you mean digit"),
        ({"features": ["pixel"]}, FeatureNotFoundError, "no feature 'pixel'"),
        ({"n_boot": 0}, InvalidInputError, "n_boot must be at least 2"),
        ({"pretrained_on": {"nets": "x"}}, InvalidInputError, "'nets', which is no row"),
        ({"metric": "mAP"}, InvalidInputError, "'mAP' cannot be compared"),
    ):
        with pytest.raises(error, match=message):
            fs.cross_domain(**{"stores": stores, **arguments})


def test_stores_are_named_by_their_folders(stores, tmp_path):
    table = fs.cross_domain([stores["small"].path, str(stores["large"].path)], n_boot=20)
    assert table.datasets["dataset"].tolist() == ["small", "large"]
    other = make_digits_store(tmp_path / "small.zarr")
    one_seed(other, "pixels")
    table = fs.cross_domain([stores["small"], other], features=["pixels"], n_boot=20)
    assert table.datasets["dataset"].tolist() == [stores["small"].location, other.location]


def test_pretraining_is_a_note_in_the_spec_and_no_part_of_it(tmp_path):
    store = make_digits_store(tmp_path / "birds.zarr")
    spec = store.feature("pixels").spec
    told = dataclasses.replace(
        spec, backbone=dataclasses.replace(spec.backbone, pretrained_on=("birds", "places"))
    )
    assert told.digest == spec.digest
    assert "pretrained_on" not in spec.to_json()["backbone"]
    assert FeatureSpec.from_json(told.to_json()) == told
    writer = store.writer("told", told)
    X, _ = digits()
    for shard in writer.pending():
        rows = writer.layout.shard_range(shard)
        writer.put(shard, X[rows.start : rows.stop])
    writer.seal()
    one_seed(store, "told")
    table = fs.cross_domain([FeatureStore.open(store.path)], features=["told"], n_boot=20)
    assert table.cells["in_domain"].tolist() == [True]
    assert table.features["pretrained_on"].tolist() == ["birds+places"]


def test_seeds_and_draws_of_stored_runs(tmp_path):
    store = make_digits_store(tmp_path / "d.zarr")
    fs.draw_subsets(store, fs.SizeDraws((300,), draws=3))
    runs = [
        one_seed(store, feature, train_subset=subset, seed=seed, save=False)
        for feature in ("pixels", "pca")
        for subset in store.subsets
        for seed in (0, 1)
    ]
    found = fs.seeds_and_draws(runs)
    assert (found.n_seeds, found.n_draws) == (2, 3)
    parts = found.components.set_index(["feature", "component"])["sd"]
    # Ridge with a given alpha is deterministic: all noise is that of the draw.
    assert parts[("pixels", "seed")] == pytest.approx(0, abs=1e-12)
    assert parts[("pixels", "draw")] > 0
    scores = [run.accuracy for run in runs if run.config.features == ("pixels",)]
    assert parts[("pixels", "draw")] == pytest.approx(np.std(scores[::2], ddof=1))
    with pytest.raises(InvalidInputError, match=r"more than feature.*scaling: none \| l2"):
        fs.seeds_and_draws([runs[0], one_seed(store, "pca", scaling="l2", save=False)])
    with pytest.raises(InvalidInputError, match="no macro"):
        fs.seeds_and_draws(runs, metric="macro")
    shorter = dataclasses.replace(
        runs[1],
        predictions=dataclasses.replace(
            runs[1].predictions,
            ids=runs[1].predictions.ids[1:],
            truth=runs[1].predictions.truth[1:],
            scores=runs[1].predictions.scores[1:],
        ),
    )
    with pytest.raises(InvalidInputError, match="different rows \\(797 and 796\\)"):
        fs.seeds_and_draws([runs[0], shorter])


def test_many_runs_of_one_target_are_compared(stores):
    store = stores["large"]
    runs = [store.run(name) for name in store.runs if store.run(name).config.target == "digit"]
    found = fs.all_pairs(iter(runs), n_boot=20)
    assert set(found.runs["run"]) == {run.name for run in runs}
    tags = one_seed(store, "pca", target="tags", save=False)
    with pytest.raises(InvalidInputError, match=r"predicts 'digit' and .* 'tags'"):
        fs.all_pairs([runs[0], tags])
