"""Plots: the right marks in the right order, no overlapping labels, deterministic SVG."""

import dataclasses
import io
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from featstore import analysis, plots
from featstore.class_groups import ClassGroups
from featstore.errors import InvalidInputError
from featstore.plots.style import INK
from featstore.predictions import Predictions
from featstore.taxonomy import Taxonomy


def run(n_classes, *, strength=2.0, seed=0, per_class=8):
    """A made run whose wrong answers tend to the next class."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(n_classes), per_class)
    logits = rng.normal(size=(len(truth), n_classes))
    logits[np.arange(len(truth)), truth] += strength
    logits[np.arange(len(truth)), (truth + 1) % n_classes] += 1
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"a species with a long name {code}" for code in range(n_classes))
    ids = np.arange(len(truth)).astype(str)
    return Predictions(ids, names, truth, scores.astype(np.float32), np.ones(n_classes, bool))


def halves(predictions):
    """A taxonomy that pairs neighbours, then all."""
    rows = [(name, f"genus {i // 2}", "life") for i, name in enumerate(predictions.classes)]
    return Taxonomy.from_frame(pd.DataFrame(rows, columns=["species", "genus", "kingdom"]))


def leaderboard():
    frame = pd.DataFrame(
        {
            "name": ["resnet50", "vit_small_patch14_reg4_dinov2.lvd142m + resnet50", "pixels"],
            "value": [0.71, 0.84, 0.2],
            "low": [0.69, 0.82, np.nan],
            "high": [0.73, 0.86, np.nan],
        }
    )
    return plots.leaderboard(frame)


def granularity():
    predictions = run(12)
    frame = analysis.granularity(predictions, halves(predictions), n_boot=50)
    return plots.granularity({"a rather long name of a run": frame, "b": frame})


def granularity_gap():
    a, b = run(12), run(12, strength=3, seed=1)
    return plots.granularity_gap(analysis.granularity_gap(a, b, halves(a), n_boot=50))


def gain_curve(n_classes):
    return plots.gain_curve(
        analysis.compare(run(n_classes), run(n_classes, strength=2.5, seed=1), n_boot=0)
    )


def gain_beside_chance(n_classes):
    a, b = run(n_classes), run(n_classes, strength=2.5, seed=1)
    return plots.gain_curve(
        analysis.compare(a, b, n_boot=0), chance=analysis.gains(a, b, n_boot=50)
    )


def genera(predictions):
    return ClassGroups.from_taxonomy(halves(predictions), "genus", predictions.classes)


def class_averages():
    a, b = run(12), run(12, strength=2.5, seed=1)
    runs = {"a rather long name of a run": a, "b": b}
    return plots.class_averages(analysis.class_averages(runs, genera(a), n_boot=50))


def group_gains():
    a, b = run(12), run(12, strength=4, seed=1)
    return plots.group_gains(analysis.group_gains(a, b, genera(a), n_boot=50))


def kin_confusion():
    a = run(12)
    return plots.kin_confusion(analysis.kin_confusion(a, halves(a), groups=genera(a)))


def difficulty():
    a, b = run(60), run(60, strength=2.5, seed=1)
    return plots.difficulty(analysis.difficulty(a, b, n_boot=0), names=("resnet50", "dinov2"))


def selection_curve():
    frame = pd.DataFrame({"C": np.logspace(-6, 5, 45), "accuracy": np.linspace(0.5, 0.6, 45)})
    return plots.selection_curve(frame, parameter="C")


def few_shot():
    shots, rows = (1, 2, 5, 10, 25), []
    for feature in ("pixels", "a feature with a rather long name + another one"):
        for k in shots:
            mean = 1 - 0.5 / (k + len(feature) / 10)
            rows.append((feature, "logistic", k, "top1", mean, mean - 0.3 / k, mean + 0.1 / k))
    columns = ["feature", "probe", "shots", "metric", "mean", "low", "high"]
    return plots.few_shot(pd.DataFrame(rows, columns=columns))


def duplicates():
    rng = np.random.default_rng(0)
    nearest = 1 - 0.2 * rng.weibull(6, (2, 300))
    nearest[1, :20] = 0.999
    names = np.repeat(["within train", "test to train"], 300)
    frame = pd.DataFrame({"rows": names, "similarity": nearest.ravel()})
    return plots.duplicates(frame, threshold=0.95, suggested=0.97)


def class_shift():
    rng = np.random.default_rng(0)
    names = tuple(f"a species with a long name {code}" for code in range(12))
    labels = analysis.label_shift(rng.integers(12, size=900), rng.integers(9, size=400), names)
    return plots.shift(labels, a="train", b="test")


def reliability():
    predictions = run(6, per_class=40)
    cooled = analysis.with_temperature(predictions, 2.0)
    curves = {"stored": predictions, "scaled": cooled}
    frames = [analysis.reliability(p).assign(scores=name) for name, p in curves.items()]
    return plots.reliability(pd.concat(frames))


def cross_domain():
    features = ["resnet50", "vit_small_patch14_reg4_dinov2.lvd142m", "random"]
    datasets = ["birds", "a data set with a rather long name", "scenes"]
    values = np.array([[0.7, 0.3, np.nan], [0.9, 0.31, 0.5], [0.1, 0.02, 0.2]])
    rows = [
        (name, data, value, data == "birds" or value > 0.3, best - value, name == "resnet50")
        for data, column in zip(datasets, values.T, strict=True)
        for best in [np.nanmax(column)]
        for name, value in zip(features, column, strict=True)
    ]
    columns = ["feature", "dataset", "value", "alike", "gap", "in_domain"]
    return plots.cross_domain(pd.DataFrame(rows, columns=columns))


def ranks(post_hoc):
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.02, (5, 12)) + np.linspace(0.05, 0, 5)[:, None]
    names = [f"a feature with a long name {i}" for i in range(5)]
    table = pd.DataFrame(values, index=names)
    return plots.critical_difference(analysis.critical_difference(table, post_hoc=post_hoc))


def many_runs():
    runs = {f"run {i}": run(12, strength=2 + i / 2, per_class=30) for i in range(6)}
    return plots.pairwise_groups(analysis.all_pairs(runs, n_boot=50))


FIGURES = {
    "duplicates": duplicates,
    "class shift": class_shift,
    "reliability": reliability,
    "label noise": lambda: plots.label_noise(analysis.label_noise(run(12, strength=3))),
    "cross-domain": cross_domain,
    "critical difference, nemenyi": lambda: ranks("nemenyi"),
    "critical difference, wilcoxon": lambda: ranks("wilcoxon"),
    "many runs": many_runs,
    "leaderboard": leaderboard,
    "granularity": granularity,
    "granularity gap": granularity_gap,
    "per class, named": lambda: plots.per_class(analysis.per_class(run(12))),
    "per class, many": lambda: plots.per_class(analysis.per_class(run(60))),
    "gain, named": lambda: gain_curve(12),
    "gain, many": lambda: gain_curve(60),
    "gain, named, chance": lambda: gain_beside_chance(12),
    "gain, many, chance": lambda: gain_beside_chance(60),
    "class averages": class_averages,
    "group gains": group_gains,
    "kin confusion": kin_confusion,
    "difficulty": difficulty,
    "confusion, numbered": lambda: plots.confusion(run(6)),
    "confusion, matrix": lambda: plots.confusion(run(25)),
    "confusion, pairs": lambda: plots.confusion(run(60)),
    "selection": selection_curve,
    "few shots": few_shot,
    "selection, with errors": lambda: plots.selection_curve(
        pd.DataFrame(
            {"C": np.logspace(-3, 3, 7), "accuracy": np.linspace(0.6, 0.5, 7), "se": 0.01}
        ),
        parameter="C",
        chosen=0.01,
    ),
}


@pytest.fixture(params=FIGURES)
def ax(request):
    return FIGURES[request.param]()


def test_labels_neither_overlap_nor_leave_the_figure(ax):
    ax.figure.savefig(io.BytesIO(), dpi=100)
    canvas = ax.figure.bbox
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        labels = [
            label
            for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            if low <= place <= high and label.get_text()
        ]
        assert len(labels) > 1
        boxes = [label.get_window_extent() for label in labels]
        for box in boxes:
            assert canvas.x0 - 1 <= box.x0
            assert box.x1 <= canvas.x1 + 1
            assert canvas.y0 - 1 <= box.y0
            assert box.y1 <= canvas.y1 + 1
        if labels[0].get_rotation() == 0:
            for box, following in pairwise(boxes):
                assert not box.overlaps(following)
    words = [*ax.texts, ax.xaxis.label, ax.yaxis.label]
    for word in (word for word in words if word.get_text()):
        box = word.get_window_extent()
        assert canvas.x0 - 1 <= box.x0 < box.x1 <= canvas.x1 + 1


def test_svg_is_one_deterministic_element_for_any_ground(ax, request):
    name = request.node.callspec.params["ax"]
    svg = plots.to_svg(ax.figure)
    assert svg == plots.to_svg(FIGURES[name]().figure)
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "currentColor" in svg
    assert "<text" in svg
    assert not re.search(
        rf"{INK}|dc:date|matplotlib\.org|<path[^>]*fill: #ffffff", svg, re.IGNORECASE
    )


def test_leaderboard_puts_the_best_on_top():
    ax = leaderboard()
    names = [label.get_text().split("_")[0] for label in ax.get_yticklabels()]
    assert names == ["vit", "resnet50", "pixels"]
    top, bottom = ax.get_ylim()[::-1]
    assert top < bottom
    assert [text.get_text() for text in ax.texts] == ["84.0%", "71.0%", "20.0%"]


def test_granularity_has_the_finest_level_and_its_count_on_the_right():
    ax = granularity()
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "kingdom\n1",
        "genus\n6",
        "species\n12",
    ]
    first = ax.lines[0].get_ydata()
    assert list(first) == sorted(first, reverse=True)
    assert first[0] == 1


def test_gaps_that_can_be_told_from_0_are_filled():
    a, b = run(12), run(12, strength=3, seed=1)
    gap = analysis.granularity_gap(a, b, halves(a), n_boot=50)
    for opens_at, n_filled in (("species", 1), ("genus", 2), ("kingdom", 3), (None, 0)):
        ax = plots.granularity_gap(dataclasses.replace(gap, opens_at=opens_at))
        line, filled, hollow = (ax.lines[i] for i in (1, 2, 3))
        assert line.get_ydata().tolist() == gap.levels["gap"].tolist()[::-1]
        assert (len(filled.get_xdata()), len(hollow.get_xdata())) == (n_filled, 3 - n_filled)
        assert filled.get_xdata().tolist() == [0, 1, 2][3 - n_filled :]


def test_granularity_refuses_runs_of_different_levels():
    predictions = run(12)
    frame = analysis.granularity(predictions, halves(predictions), n_boot=0)
    with pytest.raises(InvalidInputError, match="'b' has other levels"):
        plots.granularity({"a": frame, "b": frame.iloc[1:]})
    with pytest.raises(InvalidInputError, match="no runs"):
        plots.granularity({})


def test_per_class_leaves_out_what_is_undefined_and_draws_average_precision():
    frame = pd.DataFrame(
        {"class": ["a", "b", "c"], "n": [3, 0, 5], "average_precision": [0.2, np.nan, 0.9]}
    )
    ax = plots.per_class(frame)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["c (5)", "a (3)"]
    assert ax.get_xlabel().startswith("average precision")


def test_gain_curve_states_the_shares():
    comparison = analysis.compare(run(60), run(60, strength=2.5, seed=1), n_boot=0)
    gain = comparison.classes["gain"]
    title = plots.gain_curve(comparison).get_title(loc="left")
    assert title.startswith(f"{(gain > 0).mean():.0%} of classes improved")
    assert title.endswith(f"{(gain < 0).mean():.0%} harmed")


def test_gain_curve_beside_chance_states_both():
    a, b = run(60), run(60, strength=2.5, seed=1)
    chance = analysis.gains(a, b, n_boot=50)
    ax = plots.gain_curve(analysis.compare(a, b, n_boot=0), chance=chance)
    by_chance = ", ".join(f"{share:.0%}" for share in chance.shares["null"])
    assert ax.get_title(loc="left").endswith(f"by chance (grey): {by_chance}")


def test_difficulty_follows_the_chosen_from_left_to_right():
    a, b = run(60), run(60, strength=2.5, seed=1)
    found = analysis.difficulty(a, b, n_boot=0)
    ax = plots.difficulty(found, chosen_by="b")
    drawn = np.concatenate([lines.get_segments() for lines in ax.collections])[..., 1]
    expected = found.followed.query("chosen_by == 'b'")[["value_b", "value_a"]]
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))


def test_confusion_rows_are_shares():
    predictions = run(6)
    drawn = plots.confusion(predictions).images[0].get_array()
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    expected = analysis.per_class(predictions)["accuracy"]
    np.testing.assert_allclose(np.diag(drawn), expected)


def test_confusion_of_many_classes_lists_the_most_frequent_pairs():
    predictions = run(60)
    worst = analysis.confusion(predictions).iloc[0]
    labels = plots.confusion(predictions).get_yticklabels()
    assert labels[0].get_text() == f"{worst['class']} → {worst['taken_for']}"
    assert len(labels) == 20


@pytest.mark.parametrize(("chosen", "expected"), [(None, 20), (100, 100)])
def test_selection_curve_marks_the_choice(chosen, expected):
    frame = pd.DataFrame({"k": [200, 10, 20, 100], "accuracy": [0.6, 0.7, 0.72, 0.72]})
    ax = plots.selection_curve(frame, parameter="k", chosen=chosen)
    assert ax.get_xscale() == "log"
    assert ax.lines[-1].get_xdata() == [expected]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["10", "20", "100", "200"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter": "C"}, "no column 'C'"),
        ({"parameter": "zero"}, "positive"),
        ({"parameter": "k", "chosen": 30}, "30 was not tried"),
    ],
)
def test_selection_curve_refuses_what_it_cannot_draw(change, message):
    frame = pd.DataFrame({"k": [10, 20], "zero": [0, 1], "accuracy": [0.7, 0.72]})
    with pytest.raises(InvalidInputError, match=message):
        plots.selection_curve(frame, **change)


def test_plots_draw_on_the_axes_they_are_given():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    frame = analysis.per_class(run(6))
    assert plots.per_class(frame, ax=right) is right
    assert right.lines
    assert not left.lines


def test_a_class_without_rows_leaves_an_empty_row_in_the_matrix():
    predictions = run(4)
    rows = predictions.truth != 2
    rest = dataclasses.replace(
        predictions,
        ids=predictions.ids[rows],
        truth=predictions.truth[rows],
        scores=predictions.scores[rows],
    )
    assert plots.confusion(rest).images[0].get_array()[2].sum() == 0


def test_selection_shows_its_error_and_why_the_best_was_not_taken():
    frame = pd.DataFrame({"C": [0.1, 1.0, 10.0], "accuracy": [0.68, 0.7, 0.6], "se": [0.03] * 3})
    ax = plots.selection_curve(frame, parameter="C", chosen=0.1)
    (band,) = ax.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(0.57)
    assert heights.max() == pytest.approx(0.73)
    levels = [line.get_ydata()[0] for line in ax.lines if len(set(line.get_ydata())) == 1]
    assert any(level == pytest.approx(0.67) for level in levels)
    best = plots.selection_curve(frame, parameter="C")
    assert len(best.lines) == len(ax.lines) - 1
    assert not plots.selection_curve(frame.assign(se=np.nan), parameter="C").collections


def test_cross_domain_shades_within_columns_and_frames_pretraining():
    ax = cross_domain()
    shades = ax.images[0].get_array()
    assert shades[1].tolist() == [1, 1, 1]
    assert shades[2].tolist() == [0, 0, 0]
    assert np.ma.getmaskarray(shades)[0].tolist() == [False, False, True]
    texts = [text.get_text() for text in ax.texts]
    assert texts[:3] == ["70.0 =", "90.0", "10.0 ="]
    assert texts[6] == "–"
    assert len(ax.patches) == 3


def test_bars_join_what_is_not_told_apart():
    rng = np.random.default_rng(0)
    values = rng.normal(0.7, 0.02, (5, 12)) + np.linspace(0.05, 0, 5)[:, None]
    found = analysis.critical_difference(pd.DataFrame(values, index=list("abcde")))
    ax = plots.critical_difference(found)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == found.ranks["method"].tolist()
    dots = [
        tuple(names[int(y)] for y in line.get_ydata())
        for line in ax.lines[1:]
        if line.get_marker() == "o"
    ]
    assert dots == [group for group in found.groups if len(group) > 1]
