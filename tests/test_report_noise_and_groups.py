"""Seeds and draws, groups of classes, difficulty, and shift, on the report's page."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from report_store import make_run, report_store
from scipy.stats import spearmanr
from sklearn.metrics import recall_score

import featstore as fs
from featstore import plots
from featstore.analysis import gains, group_gains
from featstore.class_groups import ClassGroups
from featstore.cli.main import group
from featstore.errors import InvalidInputError, MissingDependencyError
from featstore.html_report import report
from featstore.html_report.board import Board, boards
from featstore.html_report.class_sizes import class_sizes, size_groups
from featstore.html_report.embedding import embedding
from featstore.html_report.exhibit import Exhibit
from featstore.html_report.followed import followed
from featstore.html_report.gained import gained
from featstore.html_report.label import labels
from featstore.html_report.numbers import hundredths
from featstore.html_report.repeated import repeated
from featstore.html_report.result_file import exhibits_of
from featstore.numerals import percent, points, span
from featstore.run import ProbeRun
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return report_store(tmp_path_factory.mktemp("s"))


@pytest.fixture(scope="module")
def board(store: FeatureStore) -> Board:
    return board_of(store, [store.run(name) for name in store.runs if "digit" in name])


def board_of(store: FeatureStore, runs: list[ProbeRun]) -> Board:
    digests = {name: store.feature(name).spec.digest for name in store.features}
    return boards(runs, targets=["digit", "tags"], digests=digests, n_boot=100)[0]


def lucky(run: ProbeRun, *, seed: int = 0, **changes: object) -> ProbeRun:
    """The same run with other luck: some scores are exchanged, and the value is another."""
    rng = np.random.default_rng([seed, len(str(changes)), *map(ord, run.name)])
    scores = run.predictions.scores.copy()
    rows = rng.choice(len(scores), rng.integers(5, 60), replace=False)
    scores[rows] = scores[rows, ::-1]
    predictions = dataclasses.replace(run.predictions, scores=scores)
    config = dataclasses.replace(run.config, seed=seed, value=10.0**seed, **changes)  # type: ignore[arg-type]
    right = float((predictions.predicted == predictions.truth).mean())
    metrics = run.metrics.assign(
        value=run.metrics["value"].where(run.metrics["metric"] != "top1", right)
    )
    name = f"{run.name}-{seed}-{changes}"
    return dataclasses.replace(
        run, name=name, config=config, predictions=predictions, metrics=metrics
    )


@pytest.fixture(scope="module")
def many(store: FeatureStore) -> list[ProbeRun]:
    """Two features by two probes with three seeds and two draws."""
    names = [f"{probe}-{name}-digit" for probe in ("logistic", "knn") for name in store.features]
    draws = [{"train_subset": f"50-draw{i}", "n_train": 50} for i in range(2)]
    return [
        lucky(store.run(name), seed=seed, **draw)
        for name in names
        for seed in range(3)
        for draw in draws
    ]


def cells(exhibit: Exhibit, sheet: int = 0) -> list[dict[str, str]]:
    found = exhibit.sheets[sheet]
    names = [name for name, _ in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found.rows]


def plain(exhibit: Exhibit) -> str:
    return " ".join(exhibit.sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_seeds_and_draws_are_those_of_compare(store: FeatureStore, many: list[ProbeRun]) -> None:
    exhibit = repeated(board_of(store, [*many, store.run("logistic-upper-digit")]), "k")
    assert exhibit is not None
    means = {row["runs of"]: row for row in cells(exhibit)}
    assert len(means) == 4
    for probe in ("logistic", "knn"):
        runs = [run for run in many if run.config.probe == probe]
        found = fs.seeds_and_draws(runs)
        for row in found.features.itertuples():
            told = means[f"{row.feature} · {probe}"]
            assert told["top-1, mean %"] == f"{hundredths(row.mean)} ({span(row.low, row.high)})"
            own = found.scores[found.scores["feature"] == row.feature]["value"]
            assert told["lowest–highest %"] == span(own.min(), own.max())
        (pair,) = found.pairs.itertuples()
        (row,) = [row for row in cells(exhibit, 1) if row["highest"].endswith(probe)]
        ahead = pair.difference if row["highest"].startswith(pair.b) else -pair.difference
        assert ahead > 0
        assert row["difference, points"].startswith(f"{points(ahead)} (")
        assert row["verdict"] == ("within the noise" if "noise" in pair.verdict else "better")
    assert plain(exhibit).startswith("Over 3 seeds × 2 draws of 50 training rows, ")
    assert "3\N{NO-BREAK SPACE}seeds" in exhibit.sheets[0].title


def test_runs_with_gaps_have_no_interval_and_are_named(
    store: FeatureStore, many: list[ProbeRun]
) -> None:
    exhibit = repeated(board_of(store, many[1:]), "k")
    assert exhibit is not None
    assert len(cells(exhibit)) == 3
    name = f"{many[0].config.features[0]} · logistic"
    assert plain(exhibit).endswith(f"not every seed has one run with every draw: {name}.")
    assert repeated(board_of(store, many[1:6]), "k") is None


def test_runs_that_differ_in_more_are_not_repetitions(store: FeatureStore, board: Board) -> None:
    assert repeated(board, "k") is None
    run = store.run("logistic-upper-digit")
    assert repeated(board_of(store, [run, lucky(run, seed=1, scaling="l2")]), "k") is None


def test_summary_tells_the_mean_of_repeated_runs(
    store: FeatureStore, many: list[ProbeRun], tmp_path: Path
) -> None:
    for run in many[:2]:
        store.save_run(dataclasses.replace(run, name=f"r{run.config.train_subset}"))
    names = [name for name in store.runs if name.startswith("r50")]
    text = report(store, tmp_path / "p.html", runs=names).read_text(encoding="utf-8")
    for name in names:
        store.delete_run(name)
    summary = text[text.index('class="finding"') : text.index('class="facts"')]
    mean = np.mean([run.metric("top1") for run in many[:2]])
    assert f"has {percent(float(mean))} on average" in summary
    assert ">Seeds and draws</h3>" in text


def test_labels_name_draw_and_seed_before_the_value_that_came_of_them(
    many: list[ProbeRun],
) -> None:
    found = labels(many[:6])
    first = f"{many[0].config.features[0]} · logistic, 50-draw0, seed 0"
    assert found[0] == first
    assert not [label for label in found if "C =" in label]


def test_rings_stand_at_the_scores(many: list[ProbeRun]) -> None:
    runs = [run for run in many if run.config.probe == "knn"]
    ax = plots.seeds_and_draws(runs)
    drawn = np.concatenate([np.asarray(c.get_offsets())[:, 0] for c in ax.collections[1:]])
    assert sorted(drawn) == pytest.approx(sorted(run.metric("top1") for run in runs))
    found = fs.seeds_and_draws(runs)
    assert (
        plots.seeds_and_draws([found]).get_yticklabels()[0].get_text()
        in found.features["feature"].tolist()
    )
    with pytest.raises(InvalidInputError, match="not both"):
        plots.seeds_and_draws([found, runs[0]])  # type: ignore[list-item]


def test_gains_of_groups_are_those_of_the_analysis(store: FeatureStore, board: Board) -> None:
    assert board.reference is not None
    taxonomy = store.taxonomy("groups")
    sizes = np.array([5, 50, 500] * 3 + [500])
    exhibit = gained(board, "g", [taxonomy], sizes)
    assert exhibit is not None
    assert len(exhibit.figures) == 2
    a, b = board.reference.run.predictions, board.predictions
    none = gains(a, b, n_boot=100).shares.set_index("outcome")
    shares = {row["classes"]: row for row in cells(exhibit)}
    for outcome, row in shares.items():
        assert row["share %"].split()[0] == hundredths(none["share"][outcome])
    assert f"{percent(none['share']['improved'])} of 10" in exhibit.sentences[1]
    by_size = size_groups(sizes, b.classes)
    assert by_size is not None
    of_level = ClassGroups.from_taxonomy(taxonomy, "<group>", b.classes)
    for sheet, groups in ((1, of_level), (2, by_size)):
        rows = {row[groups.name]: row for row in cells(exhibit, sheet)}
        expected = group_gains(a, b, groups, n_boot=100, n_swaps=99)
        assert set(rows) == set(expected["group"])
        for one in expected.itertuples():
            row = rows[one.group]
            assert row["gain, points"].startswith(f"{points(one.gain)} (")
            assert row["classes"] == f"{one.n_classes}"
            assert (row["gain"], row["lose"]) == (f"{one.improved}", f"{one.harmed}")


def test_groups_need_two_runs_and_classes_enough(store: FeatureStore, board: Board) -> None:
    single = board_of(store, [store.run("logistic-upper-digit")])
    assert gained(single, "g", [store.taxonomy("groups")], None) is None
    assert followed(single, "d") is None
    tags = [make_run(store, (name,), "tags") for name in ("upper", "lower")]
    assert gained(board_of(store, tags), "g", [], None) is None
    assert followed(board_of(store, tags), "d") is None
    alone = gained(board, "g", [], None)
    assert alone is not None
    assert not alone.figures
    assert [sheet.title for sheet in alone.sheets] == ["All classes"]


def test_class_sizes_are_those_that_were_trained_on(store: FeatureStore) -> None:
    run = store.run("logistic-upper-digit")
    codes = store.samples.targets["digit"].codes
    np.testing.assert_array_equal(
        class_sizes(store, run), np.bincount(codes[store.rows("train")], minlength=10)
    )

    def of(**changes: object) -> ProbeRun:
        return dataclasses.replace(run, config=dataclasses.replace(run.config, **changes))  # type: ignore[arg-type]

    both = class_sizes(store, of(train_split="train+test"))
    np.testing.assert_array_equal(both, np.bincount(codes, minlength=10))
    assert class_sizes(store, of(train_split="another")) is None
    assert class_sizes(store, of(train_subset="gone")) is None
    assert class_sizes(store, of(target="tags")) is None
    (name, *_) = fs.draw_subsets(store, fs.ShotDraws((3,)))
    np.testing.assert_array_equal(class_sizes(store, of(train_subset=name)), np.full(10, 3))


def test_difficulty_is_a_rank_correlation_of_classes(board: Board) -> None:
    assert board.reference is not None
    exhibit = followed(board, "d")
    assert exhibit is not None
    recalls = [
        recall_score(run.truth, run.predicted, average=None)
        for run in (board.reference.run.predictions, board.predictions)
    ]
    expected = spearmanr(*recalls).statistic
    assert cells(exhibit)[0]["value"] == f"{expected:.2f}"
    assert f"rank correlation of {expected:.2f} (" in plain(exhibit)
    hardest = cells(exhibit, 1)[0]
    assert hardest["classes"] == "hardest 1"
    assert hardest[f"{board.reference.label} %"].endswith(f"({hundredths(min(recalls[0]))})")
    same = np.argmin(recalls[0]) == np.argmin(recalls[1])
    assert ("is the same" in plain(exhibit)) == same


def test_shift_of_splits_joins_the_page(store: FeatureStore, tmp_path: Path) -> None:
    arguments = ["shift", str(store.path), "-f", "upper,lower", "--rows", "150"]
    result = CliRunner().invoke(group, [*arguments, "--permutations", "20", "--json"])
    assert result.exit_code == 0, result.output
    path = tmp_path / "shift.json"
    path.write_text(result.stdout, encoding="utf-8")
    document = json.loads(result.stdout)
    assert document["features"] == ["upper", "lower"]
    (exhibit,) = exhibits_of([path], digests={})
    assert exhibit.heading == "Shift: train to test"
    measures = {row["measure"]: row for row in document["measures"]}
    assert f"AUC {measures['held_out_auc']['value']:.3f} of a probe" in plain(exhibit)
    apart = "can" if measures["held_out_auc"]["p"] < 0.05 else "cannot"
    assert f"rows of test {apart} be told apart by upper + lower" in plain(exhibit)
    assert f"Cramér's V is {document['labels']['cramers_v']:.3f}" in plain(exhibit)
    shares = {row["class"]: row for row in document["labels"]["classes"]}
    rows = cells(exhibit, 1)
    assert len(rows) == 10
    gaps = [abs(shares[row["class"]]["share_b"] - shares[row["class"]]["share_a"]) for row in rows]
    assert gaps == sorted(gaps, reverse=True)
    for row in rows:
        assert row["train %"] == hundredths(shares[row["class"]]["share_a"])
    document["labels"] = None
    path.write_text(json.dumps(document), encoding="utf-8")
    (bare,) = exhibits_of([path], digests={})
    assert not bare.figures
    assert len(bare.sheets) == 1


def test_umap_is_asked_for_by_name_and_named_where_it_is_missing(
    store: FeatureStore, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "featstore\[umap\]"'):
        embedding(store, board, method="umap")
    with pytest.raises(InvalidInputError, match="tsne or umap, got 'pca'"):
        embedding(store, board, method="pca")  # type: ignore[arg-type]
    arguments = ["report", str(store.path), "-o", str(tmp_path / "p.html"), "--map-method", "umap"]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code != 0
    assert "featstore[umap]" in str(result.output) + str(result.exception)


@pytest.mark.slow
def test_umap_puts_rows_of_a_class_together(store: FeatureStore, board: Board) -> None:
    pytest.importorskip("umap")
    found = embedding(store, board, method="umap")
    assert found is not None
    assert found.method == "UMAP"
    document = json.loads(found.document)
    places, truth = np.column_stack([document["x"], document["y"]]), np.asarray(document["truth"])
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest = np.argsort(distances, axis=1)[:, 1:6]
    assert (truth[nearest] == truth[:, None]).mean() > 0.8
    again = embedding(store, board, method="umap")
    assert again is not None
    assert again.document == found.document
