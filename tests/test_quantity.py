"""Quantity curves: the numbers are those of a loop, and no fit sees more labels than it may."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import digits, make_digits_store
from scipy import stats
from sklearn.linear_model import LogisticRegression

import featstore as fs
from featstore import plots
from featstore.cli.main import group
from featstore.errors import InvalidInputError
from featstore.result_document import joined
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("quantity") / "d.zarr", val=100)


@pytest.fixture(scope="module")
def pixels(store: FeatureStore) -> fs.Quantity:
    return fs.quantity(store, "pixels", sizes=(40, 160), draws=3, value=1)


@pytest.fixture(scope="module")
def pca(store: FeatureStore) -> fs.Quantity:
    return fs.quantity(store, "pca", sizes=(40, 160), draws=3, value=1)


def test_values_are_those_of_a_loop(store: FeatureStore, pixels: fs.Quantity) -> None:
    X, y = digits()
    drawn = fs.draw_subsets(store, fs.SizeDraws((40, 160), draws=3), save=False)
    subsets = {(one.recipe["size"], one.recipe["draw"]): one.rows for one in drawn.values()}
    subsets[1000, 0] = np.arange(1000)
    top1 = pixels.values[pixels.values["metric"] == "top1"].set_index(["n", "draw"])["value"]
    assert set(top1.index) == set(subsets)
    for key, rows in subsets.items():
        reference = LogisticRegression(C=1, max_iter=5000, tol=1e-8).fit(X[rows], y[rows])
        assert top1[key] == pytest.approx(reference.score(X[1100:], y[1100:]), abs=2 / 697)
    rows = pixels.summary[(pixels.summary["n"] == 160) & (pixels.summary["metric"] == "top1")]
    several = [top1[160, draw] for draw in range(3)]
    low, high = stats.t.interval(0.95, 2, loc=np.mean(several), scale=stats.sem(several))
    np.testing.assert_allclose(
        rows[["mean", "low", "high"]].to_numpy(float), [[np.mean(several), low, high]]
    )
    whole = pixels.summary[pixels.summary["n"] == 1000]
    assert whole[["low", "high"]].isna().all(axis=None)
    assert (whole["draws"] == 1).all()


def test_draws_are_the_same_for_every_feature(pixels: fs.Quantity, pca: fs.Quantity) -> None:
    pd.testing.assert_series_equal(pixels.fits["digest"], pca.fits["digest"])
    assert (pixels.fits["rows"] == pixels.fits["n"]).all()


def test_a_named_subset_has_the_rows_of_draw_0(store: FeatureStore, pixels: fs.Quantity) -> None:
    named = fs.draw_subsets(store, fs.SizeDraws((40,)), target="digit", save=False)["40"]
    fits = pixels.fits.set_index(["n", "draw"])
    assert fits.loc[(40, 0), "digest"] == named.digest


def test_choices_see_the_labels_of_their_draw_only(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from featstore.learner import Learner

    seen: list[set[int]] = []
    sweep, fit = Learner.sweep, Learner.fit

    def watched_sweep(self, fitted_on, rows, values):  # type: ignore[no-untyped-def]
        seen.append({*fitted_on.view.rows.tolist(), *rows.view.rows.tolist()})
        return sweep(self, fitted_on, rows, values)

    def watched_fit(self, part, value):  # type: ignore[no-untyped-def]
        seen.append(set(part.view.rows.tolist()))
        return fit(self, part, value)

    monkeypatch.setattr(Learner, "sweep", watched_sweep)
    monkeypatch.setattr(Learner, "fit", watched_fit)
    subset = fs.draw_subsets(store, fs.SizeDraws((100,)), target="digit", save=False)["100"]
    result = fs.quantity(store, "pca", sizes=(100,), draws=1, full=False, probe="ridge")
    assert len(seen) >= 2
    assert all(rows <= set(subset.rows.tolist()) for rows in seen)
    assert set.union(*seen) == set(subset.rows.tolist())
    assert result.config.select == "val"
    assert len(result.fits) == 1


def test_curves_are_compared(pixels: fs.Quantity, pca: fs.Quantity) -> None:
    top1 = pixels.summary[pixels.summary["metric"] == "top1"].set_index("n")["mean"]
    gains = pixels.doubling().set_index("n_to")["gain"]
    assert gains[160] == pytest.approx((top1[160] - top1[40]) / 2)
    needed = pixels.labels_needed(pca)
    assert needed.level == pca.most
    expected = np.exp(np.interp(pca.most, top1.to_numpy(), np.log(top1.index.to_numpy(float))))
    assert needed.n == pytest.approx(expected)
    assert pixels.labels_needed(top1[160], metric="top1").n == pytest.approx(160)
    assert pixels.crossing(pca).gap == pytest.approx(pca.most - pixels.most)


def test_curves_of_other_draws_or_targets_are_not_compared(
    store: FeatureStore, pixels: fs.Quantity
) -> None:
    other = fs.quantity(store, "pca", sizes=(40, 160), draws=3, value=1, seed=1)
    with pytest.raises(InvalidInputError, match="other draws"):
        pixels.crossing(other)
    tags = fs.quantity(store, "pca", sizes=(40,), draws=2, value=1, target="tags", full=False)
    assert (tags.metric, len(tags.fits)) == ("mAP", 2)
    with pytest.raises(InvalidInputError, match="cannot be compared"):
        pixels.labels_needed(tags)
    with pytest.raises(InvalidInputError, match="not evaluated by 'mAP'"):
        pixels.labels_needed(pixels, metric="mAP")


def test_sizes_are_all_labels_halved(store: FeatureStore) -> None:
    result = fs.quantity(store, "pca", draws=1, probe="centroid")
    assert sorted(result.fits["n"]) == [31, 62, 125, 250, 500, 1000]
    assert result.config.draws["sizes"] == (31, 62, 125, 250, 500)
    stratified = fs.quantity(
        store, "pca", sizes=(1000,), draws=1, probe="centroid", stratified=True
    )
    assert len(stratified.fits) == 1  # all labels are not fitted twice


def test_results_are_plotted_and_become_json(pixels: fs.Quantity, pca: fs.Quantity) -> None:
    document = json.loads(json.dumps(pixels.to_json()))
    assert document["config"]["draws"]["relation"] == "nested"
    assert document["summary"][-1]["low"] is None
    ax = plots.quantity(joined([pixels, pca]))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["40", "160", "1k"]
    assert len(ax.lines) == len(ax.collections) == 2


def test_what_makes_no_curve_is_refused(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="2000 rows cannot be drawn from 1000"):
        fs.quantity(store, "pca", sizes=(2000,), value=1)
    with pytest.raises(InvalidInputError, match="tested on the rows it is trained on"):
        fs.quantity(store, "pca", value=1, test="train")
    with pytest.raises(InvalidInputError, match="'val' or 'kfold'"):
        fs.quantity(store, "pca", value=1, select="nested")


def run(store: FeatureStore, *arguments: object) -> Result:
    return CliRunner().invoke(group, ["quantity", str(store.path), *map(str, arguments)])


QUICK = ("--sizes", "50,0.2k", "--draws", "2", "--probe", "centroid")


def test_command(store: FeatureStore, tmp_path: Path) -> None:
    files = ("--out", tmp_path / "q.csv", "--plot", tmp_path / "q.svg")
    result = run(store, "-f", "pixels", "--fuse", "pca,pixels", *QUICK, *files)
    assert result.exit_code == 0, result.output
    for words in ("gain per doubling", "pca + pixels", "against each other", "crossing"):
        assert words in result.stdout
    assert set(pd.read_csv(tmp_path / "q.csv")["n"]) == {50, 200, 1000}
    assert (tmp_path / "q.svg").read_text().startswith("<svg")
    document = json.loads(run(store, *QUICK, "--json", "--out", tmp_path / "q.json").stdout)
    assert len(document["results"]) == len(document["pairs"]) == 2
    assert json.loads((tmp_path / "q.json").read_text())[0]["fits"]
    refused = run(store, *QUICK, "--out", "q.xlsx")
    assert (refused.exit_code, "must end in" in refused.output) == (2, True)
