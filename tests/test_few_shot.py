"""Few-shot evaluation: the numbers are those of a loop, and nothing is chosen on reported rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits_store import digits, make_digits_store
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

import featstore as fs
from featstore import plots, shot_evaluation
from featstore.errors import InvalidInputError, ShortClassesWarning
from featstore.result_document import joined
from featstore.samples import Samples, Target
from featstore.shot_draws import ShotDraws
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("digits") / "d.zarr")


@pytest.fixture(scope="module")
def result(store: FeatureStore) -> fs.FewShot:
    return fs.few_shot(store, "pixels", shots=[1, 4], draws=6, value=0.5, n_boot=200)


def test_values_are_those_of_a_loop(store: FeatureStore, result: fs.FewShot) -> None:
    X, y = digits()
    ids, classes = store.samples.ids, store.target()[1].classes
    drawn = ShotDraws((1, 4), draws=6).draw(
        np.arange(1000),
        y[:1000],
        ids,
        classes=classes,
        origin={"target": "digit", "split": "train"},
    )
    table = result.values.pivot_table("value", ["shots", "draw"], "metric")
    for one in drawn:
        model = LogisticRegression(C=0.5, tol=1e-8, max_iter=1000)
        model.fit(X[one.subset.rows], y[one.subset.rows])
        found = table.loc[one.shots, one.draw]
        assert found["top1"] == pytest.approx(model.score(X[1000:], y[1000:]), abs=2 / 797)
        balanced = balanced_accuracy_score(y[1000:], model.predict(X[1000:]))
        assert found["mean_per_class"] == pytest.approx(balanced, abs=0.004)
        best = np.argsort(-model.decision_function(X[1000:]), axis=1)[:, :5]
        top5 = (best == y[1000:, None]).any(axis=1).mean()
        assert found["top5"] == pytest.approx(top5, abs=2 / 797)
    assert result.draws["digest"].tolist() == [one.subset.digest for one in drawn]
    assert result.draws["n"].tolist() == [10] * 6 + [40] * 6


def test_summary(result: fs.FewShot) -> None:
    assert result.config.selected_on == "fixed"
    assert len(result.selection) == 0
    for row in result.summary.itertuples():
        same = (result.values["shots"] == row.shots) & (result.values["metric"] == row.metric)
        several = result.values.loc[same, "value"]
        low, high = stats.t.interval(0.95, 5, several.mean(), stats.sem(several))
        assert (row.mean, row.low, row.high) == pytest.approx((several.mean(), low, high))
        assert row.test_low < row.mean < row.test_high
        assert (row.draws, row.chosen, row.unconverged) == (6, 0.5, 0)
    top1 = result.summary[result.summary["metric"] == "top1"]
    assert top1["mean"].is_monotonic_increasing
    # 797 rows: a binomial share of its own would be wider, since draws are averaged.
    widths = top1["test_high"] - top1["test_low"]
    binomial = 2 * 1.96 * np.sqrt(top1["mean"] * (1 - top1["mean"]) / 797)
    assert ((0.2 * binomial < widths) & (widths < 1.1 * binomial)).all()


def test_a_value_is_chosen_on_other_draws(store: FeatureStore, monkeypatch: Any) -> None:
    X, y = digits()
    seen: list[tuple[int, ...]] = []
    plain = shot_evaluation.choose

    def spy(setup: Any, rows: Any, subsets: Any, queries: Any) -> Any:
        for k, several in subsets.items():
            for fitted, asked in zip(several, queries[k], strict=True):
                assert not set(fitted) & set(asked)
                seen.append(tuple(rows.rows[fitted]))
        assert rows.rows.max() < 1000  # of the training split
        return plain(setup, rows, subsets, queries)

    monkeypatch.setattr(shot_evaluation, "choose", spy)
    found = fs.few_shot(store, "pixels", shots=[1, 5], draws=3, n_boot=0)
    assert found.config.selected_on == "5 other draws of train"
    reported = fs.few_shot(store, "pixels", shots=[1, 5], draws=3, value=1, n_boot=0).draws
    assert len(seen) == 10
    assert reported["digest"].tolist() == found.draws["digest"].tolist()
    for k in (1, 5):
        tried = found.selection[found.selection["shots"] == k]
        assert len(tried) == 13
        chosen = tried[tried["chosen"]]
        assert len(chosen) == 1
        assert chosen["score"].item() == tried["score"].max()
        assert (
            found.summary.loc[found.summary["shots"] == k, "chosen"] == chosen["value"].item()
        ).all()
        # The first of the smallest C with the best score.
        ties = tried.loc[tried["score"] == tried["score"].max(), "value"]
        assert chosen["value"].item() == ties.min()
    k5 = [rows for rows in seen if len(rows) == 50]
    scored = LogisticRegression(C=0.1, tol=1e-8).fit(X[list(k5[0])], y[list(k5[0])])
    assert scored.score(X[1000:], y[1000:]) > 0.7
    assert found.summary["test_low"].isna().all()


@pytest.mark.parametrize("preset", ["simpleshot", "bigvision-fewshot", "knn", "ridge-loo", "lda"])
def test_any_probe_goes_through_the_same_draws(store: FeatureStore, preset: str) -> None:
    name = {"knn": "dinov2-knn"}.get(preset, preset)
    found = fs.few_shot(store, ["pca", "pixels"], shots=[2, 5], draws=2, preset=name, n_boot=0)
    fixed = fs.few_shot(store, "pixels", shots=[2, 5], draws=2, value=1, n_boot=0)
    assert found.draws.equals(fixed.draws) or preset == "bigvision-fewshot"
    assert found.config.dims == (16, 64)
    top1 = found.summary[found.summary["metric"] == "top1"]
    assert (top1["mean"] > 0.5).all()
    if preset == "knn":
        assert (top1["chosen"] <= 50).all()
    if preset == "ridge-loo":
        assert found.config.selected_on == "the probe's own rule"
        assert top1["chosen"].isna().all()


def test_presets_bring_their_draws(store: FeatureStore) -> None:
    found = fs.few_shot(store, "pixels", preset="bigvision-fewshot", n_boot=0)
    assert sorted(found.draws["shots"].unique()) == [1, 5, 10, 25]
    assert found.draws["draw"].max() == 2
    assert found.config.draws["short"] == "all"
    other = fs.few_shot(store, "pixels", preset="bigvision-fewshot", shots=[3], draws=1, n_boot=0)
    assert other.draws["shots"].tolist() == [3]


def test_classes_with_few_rows_and_classes_without(new_store: Callable[..., FeatureStore]) -> None:
    X, y = digits()
    splits = np.where(np.arange(len(X)) < 1000, "train", "test")
    splits[(y == 3) & (splits == "train")] = ""  # never seen in training
    rare = np.flatnonzero((y == 7) & (splits == "train"))[1:]
    splits[rare] = ""
    ids = np.asarray([str(i) for i in range(len(X))])
    samples = Samples(ids, splits, {"digit": Target.from_labels([str(d) for d in y])})
    made = new_store(samples=samples, pixels=X)
    with pytest.raises(InvalidInputError, match=r"1 of 9 classes have fewer than 2 rows.*7 \(1\)"):
        fs.few_shot(made, "pixels", shots=[1, 2], draws=2, value=1)
    found = fs.few_shot(made, "pixels", shots=[1, 2], draws=2, value=1, short="all", n_boot=20)
    assert found.draws["n"].tolist() == [9, 9, 17, 17]
    top1 = found.values.loc[found.values["metric"] == "top1", "value"]
    assert (top1 <= 1 - (y[1000:] == 3).mean()).all()
    with pytest.warns(ShortClassesWarning, match=r"1 for 2, 1 for 4, 1 for 8, 1 for 16\)"):
        usual = fs.few_shot(made, "pixels", draws=2, value=1, n_boot=0)
    assert usual.config.draws["shots"] == (1, 2, 4, 8, 16)
    assert usual.config.left_out == ()
    assert usual.draws["n"].tolist() == [9, 9, 17, 17, 33, 33, 65, 65, 129, 129]


def test_small_classes_choose_and_leave_out_what_they_cannot_serve(
    new_store: Callable[..., FeatureStore],
) -> None:
    X, y = digits()
    few = np.sort(np.concatenate([np.flatnonzero(y == digit)[:20] for digit in range(4)]))
    rank = np.concatenate([np.flatnonzero(y == digit)[:20] for digit in range(4)]).reshape(4, 20)
    ids = np.asarray([f"{i:04}.png" for i in few])
    splits = np.where(np.isin(few, rank[:, :8]), "train", "test")
    labels = Target.from_labels([str(digit) for digit in y[few]])
    made = new_store(samples=Samples(ids, splits, {"digit": labels}), pixels=X[few])
    with pytest.warns(ShortClassesWarning, match="shots 8, 16 are left out"):
        found = fs.few_shot(made, "pixels", draws=3, n_boot=0)
    assert found.config.left_out == (8, 16)
    assert found.config.short_classes == {}
    # All 32 rows are taken by some draw that chooses: each is scored on what it did not take.
    assert found.config.selected_on == "5 other draws of train"
    assert found.selection["score"].between(0.3, 1).all()
    top1 = found.summary[found.summary["metric"] == "top1"].set_index("shots")["mean"]
    assert top1[4] > top1[1] > 0.3
    with pytest.raises(InvalidInputError, match="4 of 4 classes have fewer than 16"):
        fs.few_shot(made, "pixels", shots=[16], draws=1)


def test_several_labels_and_other_refusals(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="several labels per row"):
        fs.few_shot(store, "pixels", target="tags")
    with pytest.raises(InvalidInputError, match="tested on the rows it is trained on"):
        fs.few_shot(store, "pixels", test="train")
    with pytest.raises(InvalidInputError, match="scaling must be 'none' or 'l2'"):
        fs.few_shot(store, "pixels", scaling="standardise")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="use up all training rows"):
        fs.few_shot(store, "pixels", shots=[1000], short="all")


def test_rows_that_are_not_finite_are_named(store: FeatureStore, monkeypatch: Any) -> None:
    take = type(store.view("pixels")).take

    def spoilt(view: Any, index: Any, **options: Any) -> Any:
        values = take(view, index, **options).copy()
        values[2] = np.inf
        return values

    monkeypatch.setattr(type(store.view("pixels")), "take", spoilt)
    with pytest.raises(InvalidInputError, match=r"1 of \d+ rows of pixels hold NaN .*\d{4}\.png"):
        fs.few_shot(store, "pixels", shots=[1], draws=2, value=1)


def test_l2_scaling_and_draws_in_several_pieces(store: FeatureStore, monkeypatch: Any) -> None:
    whole = fs.few_shot(
        store, ["pca", "pixels"], shots=[1, 3], draws=4, value=1, scaling="l2", n_boot=0
    )
    monkeypatch.setattr(shot_evaluation, "_HELD_VALUES", 5000)
    pieces = fs.few_shot(
        store, ["pca", "pixels"], shots=[1, 3], draws=4, value=1, scaling="l2", n_boot=0
    )
    assert pieces.values.equals(whole.values)


def test_the_same_arguments_give_the_same_numbers(store: FeatureStore, result: fs.FewShot) -> None:
    again = fs.few_shot(store, "pixels", shots=[4, 1], draws=6, value=0.5, n_boot=200)
    assert again.values.equals(result.values)
    assert again.summary.equals(result.summary)
    other = fs.few_shot(store, "pixels", shots=[1, 4], draws=6, value=0.5, seed=1, n_boot=0)
    assert not other.values.equals(result.values)


def test_episodes_are_those_of_a_loop(store: FeatureStore) -> None:
    X, y = digits()
    found = fs.episodes(
        store, "pixels", way=3, shots=[1, 5], queries=4, episodes=30, preset="centroid"
    )
    plan = fs.EpisodeDraws(way=3, shots=5, queries=4, episodes=30)
    drawn = plan.draw(
        (np.arange(1000), y[:1000]),
        (np.arange(1000, 1797), y[1000:]),
        store.samples.ids,
        classes=store.target()[1].classes,
    )
    five = found.values[found.values["shots"] == 5]
    for i, value in zip(five["draw"], five["value"], strict=True):
        means = X[drawn.support[i]].reshape(3, 5, -1).mean(axis=1)
        distances = np.linalg.norm(X[drawn.queries[i], None] - means, axis=2)
        right = drawn.classes[i][distances.argmin(axis=1)] == y[drawn.queries[i]]
        assert value == pytest.approx(right.mean())
    summary = found.summary.set_index("shots")
    assert summary.loc[5, "mean"] == pytest.approx(five["value"].mean())
    half = stats.t.ppf(0.975, 29) * five["value"].std() / 30**0.5
    assert summary.loc[5, "high"] - summary.loc[5, "mean"] == pytest.approx(half)
    assert summary["test_low"].isna().all()
    assert summary.loc[5, "mean"] > summary.loc[1, "mean"]


def test_episodes_choose_on_training_rows(store: FeatureStore) -> None:
    found = fs.episodes(store, "pixels", way=5, shots=[2], queries=5, episodes=20)
    assert found.config.selected_on == "100 other episodes of train"
    assert len(found.selection) == 13
    assert (
        found.summary["chosen"].item()
        == found.selection.loc[found.selection["chosen"], "value"].item()
    )
    with pytest.raises(InvalidInputError, match="chosen on reported rows"):
        fs.episodes(store, "pixels", train="test", test="test")
    one_pool = fs.episodes(store, "pixels", train="test", episodes=5, value=1, shots=[1], queries=3)
    assert one_pool.summary["mean"].item() > 0.5
    with pytest.raises(InvalidInputError, match="shots is empty"):
        fs.episodes(store, "pixels", shots=[])


def test_the_plot_takes_results_together(
    store: FeatureStore, result: fs.FewShot, tmp_path: Path
) -> None:
    other = fs.few_shot(store, "pca", shots=[1, 4], draws=6, value=0.5, n_boot=0)
    ax = plots.few_shot(joined([result, other]))
    assert [line.get_label() for line in ax.lines] == ["pixels", "pca"]
    top1 = result.summary[result.summary["metric"] == "top1"]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), top1["mean"])
    assert ax.get_xscale() == "log"
    with pytest.raises(InvalidInputError, match="no metric 'mAP'"):
        plots.few_shot(result.summary, metric="mAP")
    with pytest.raises(InvalidInputError, match="no column 'low'"):
        plots.few_shot(result.summary.drop(columns="low"))


def test_json_holds_everything(result: fs.FewShot) -> None:
    document = result.to_json()
    assert len(document["values"]) == len(result.values)
    assert document["config"]["draws"]["shots"] == [1, 4]
    assert document["summary"][0]["mean"] == result.summary["mean"].iloc[0]
