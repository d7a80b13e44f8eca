"""What the page shows beyond ranks: pairs, probabilities, corruptions, other results."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from report_store import make_run, report_store
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import NearestNeighbors

from featstore.analysis import calibration, compare
from featstore.cli.main import group
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.html_report import report
from featstore.html_report.board import Board, boards
from featstore.html_report.calibrated import calibrated
from featstore.html_report.corrupted import corrupted
from featstore.html_report.embedding import embedding
from featstore.html_report.exhibit import Exhibit
from featstore.html_report.explorer import explorer
from featstore.html_report.fused import fused
from featstore.html_report.mistakes import IMAGES, image_root, mistakes
from featstore.html_report.numbers import hundredths
from featstore.html_report.result_file import exhibits_of
from featstore.numerals import points
from featstore.quantity_evaluation import quantity
from featstore.run import ProbeRun
from featstore.shot_evaluation import few_shot
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return report_store(tmp_path_factory.mktemp("s"))


@pytest.fixture(scope="module")
def board(store: FeatureStore) -> Board:
    return board_of(store, *map(store.run, store.runs))


def board_of(store: FeatureStore, *runs: ProbeRun) -> Board:
    digests = {name: store.feature(name).spec.digest for name in store.features}
    return boards(runs, targets=["digit", "tags"], digests=digests, n_boot=100)[0]


def cells(exhibit: Exhibit, sheet: int = 0) -> list[dict[str, str]]:
    found = exhibit.sheets[sheet]
    names = [name for name, _ in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found.rows]


def test_pairs_of_stored_runs_gain_what_compare_says(board: Board, store: FeatureStore) -> None:
    exhibit = fused(board, "f")
    assert exhibit is not None
    rows = {row["probe"]: row for row in cells(exhibit)}
    assert set(rows) == {"logistic", "knn"}
    for probe, row in rows.items():
        pair, *members = (
            store.run(f"{probe}-{name}-digit").predictions
            for name in ("upper+lower", "upper", "lower")
        )
        scores = [accuracy_score(one.truth, one.predicted) for one in (*members, pair)]
        shown = [row[name] for name in ("first %", "second %", "pair %")]
        assert shown == [hundredths(score) for score in scores]
        gain = compare(members[int(np.argmax(scores[:2]))], pair, n_boot=0).difference
        assert row["gain over the better, points"].startswith(f"{points(gain)} (")
    assert "of 2\N{NO-BREAK SPACE}pairs" in exhibit.sentences[0]


def test_a_pair_by_another_protocol_is_no_fusion_of_its_members(store: FeatureStore) -> None:
    single = [make_run(store, (name,)) for name in ("upper", "lower")]
    pair = make_run(store, ("upper", "lower"), scaling="l2")
    assert fused(board_of(store, *single, pair), "f") is None
    alone = make_run(store, ("upper", "lower"))
    assert fused(board_of(store, single[0], alone), "f") is None


def test_calibration_says_how_sure_and_how_right(board: Board) -> None:
    exhibit = calibrated(board, "c")
    assert exhibit is not None
    best = board.best.run.predictions
    sure, right = best.scores.max(axis=1).mean(), accuracy_score(best.truth, best.predicted)
    text = exhibit.sentences[0].replace("\N{NO-BREAK SPACE}", " ")
    assert f"gives its predictions {100 * sure:.1f} % on average" in text
    assert f"{100 * right:.1f} % of them come true" in text
    verdict = "surer than it is right" if sure > right else "less sure than it could be"
    assert text.endswith(f"it is {verdict}.")
    first = cells(exhibit)[0]
    ece = calibration(best, n_boot=0).set_index("metric")["value"]["ece"]
    assert first["ECE, points"].startswith(f"{100 * ece:.1f} (")
    likely = log_loss(best.truth, best.scores, labels=range(10))
    assert float(first["log loss"].split()[0]) == pytest.approx(likely, abs=6e-4)


def test_runs_without_probabilities_have_no_calibration(store: FeatureStore) -> None:
    margins = np.log(store.run("logistic-upper-digit").predictions.scores)
    run = make_run(store, ("upper",), probe="svm", scores=margins)
    assert calibrated(board_of(store, run), "c") is None


def test_a_probe_on_corrupted_images_shows_its_drop(store: FeatureStore) -> None:
    clean, other = make_run(store, ("upper",)), make_run(store, ("lower",))
    worse = clean.predictions.scores.copy()
    worse[::4] = worse[::4, ::-1]
    shifted = make_run(
        store,
        ("upper",),
        scores=worse,
        name="on corrupted",
        test_features=("upper-jpeg10",),
        test_spec_digests=("0" * 64,),
    )
    board = board_of(store, clean, other, shifted)
    exhibit = corrupted(board, "d", {"upper-jpeg10": "jpeg10"})
    assert exhibit is not None
    accuracies = [
        accuracy_score(run.predictions.truth, run.predictions.predicted) for run in (clean, shifted)
    ]
    (row,) = cells(exhibit)
    assert row["corruption"] == "jpeg10"
    assert row["corrupted %"] == hundredths(accuracies[1])
    assert row["drop, points"].startswith(f"{points(accuracies[0] - accuracies[1])} (")
    # The probe on other images is no rival of itself.
    assert board.reference is not None
    assert not board.reference.run.config.test_features
    assert corrupted(board, "d", {}) is None
    assert corrupted(board_of(store, other, shifted), "d", {"upper-jpeg10": "jpeg10"}) is None


def test_letters_and_changes_come_from_one_comparison(board: Board) -> None:
    assert board.pairs is not None
    different = {
        frozenset((row.a, row.b)) for row in board.pairs.pairs.itertuples() if row.different
    }
    for one in board.entries:
        for other in board.entries:
            if one is not other:
                apart = frozenset((one.label, other.label)) in different
                assert apart == (not set(one.letters) & set(other.letters))
    for entry in board.entries:
        if entry.to_best is not None:
            found = compare(entry.run.predictions, board.best.run.predictions, n_boot=0)
            assert entry.to_best.difference == pytest.approx(found.difference)
            assert entry.to_best.p == pytest.approx(found.p_exact)
            assert entry.to_best.low <= entry.to_best.difference <= entry.to_best.high


def test_bits_of_the_explorer_are_the_rows_by_class(board: Board) -> None:
    document = explorer(board)
    n = document["n"]
    for entry, text in zip(board.entries, document["hits"], strict=True):
        run = entry.run.predictions
        bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))[: sum(n)]
        parts = np.split(bits, np.cumsum(n)[:-1])
        for code, part in enumerate(parts):
            own = run.truth == code
            assert (len(part), part.sum()) == (own.sum(), (run.predicted[own] == code).sum())


@pytest.fixture(scope="module")
def results(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files as the commands write them."""
    folder, found = tmp_path_factory.mktemp("r"), {}
    shared = {"target": "digit", "value": 1.0}
    shots = [few_shot(store, [name], shots=(1, 4), draws=3, **shared) for name in store.features]
    sizes = [
        quantity(store, [name], sizes=(50, 200), draws=2, full=True, **shared)
        for name in store.features
    ]
    documents = {
        "shots": [one.to_json() for one in shots],
        "quantity": {"results": [one.to_json() for one in sizes], "pairs": []},
    }
    commands = {
        "similarity": ["--measures", "cka,r2"],
        "calibration": ["--run", "logistic-upper-digit", "--no-temperature"],
        "fusion": ["--no-controls", "--target", "digit", "-C", "1"],
    }
    for name, document in documents.items():
        found[name] = folder / f"{name}.json"
        found[name].write_text(json.dumps(document))
    before = set(store.runs)
    for name, options in commands.items():
        result = CliRunner().invoke(group, [name, str(store.path), *options, "--json"])
        assert result.exit_code == 0, result.output
        found[name] = folder / f"{name}.json"
        found[name].write_text(result.stdout)
    for name in set(store.runs) - before:
        store.delete_run(name)
    return found


def test_results_of_other_commands_join_the_page(
    store: FeatureStore, results: dict[str, Path], tmp_path: Path
) -> None:
    digests = {name: store.feature(name).spec.digest for name in store.features}
    found = {
        exhibit.heading: exhibit for exhibit in exhibits_of(list(results.values()), digests=digests)
    }
    assert list(found) == [
        "Few shots: digit",
        "Training labels: digit",
        "Similarity of features",
        "Temperature",
        "Fusion",
    ]
    shots = cells(found["Few shots: digit"])
    assert [row["feature"] for row in shots] == store.features
    summary = few_shot(store, ["lower"], shots=(1, 4), draws=3, target="digit", value=1.0).summary
    own = summary[(summary["metric"] == "top1") & (summary["shots"] == 4)]
    assert shots[0]["4 per class"].startswith(f"{100 * own['mean'].item():.1f} (")
    last = cells(found["Training labels: digit"])[0]
    n_train = len(store.rows("train"))
    # All labels can be drawn in one way only: no interval.
    assert "(" not in last[f"{n_train} labels"]
    assert "Beware" not in found["Few shots: digit"].sentences[-1]
    (changed,) = exhibits_of([results["shots"]], digests={**digests, "lower": "0" * 64})
    assert changed.sentences[1].startswith("Beware: lower was evaluated on other values")
    page = report(store, tmp_path / "p.html", results=list(results.values()))
    text = page.read_text(encoding="utf-8")
    for heading in found:
        assert f">{heading}</h3>" in text
    assert f"--result {results['shots']}" in text


def test_files_that_are_no_results_are_refused(store: FeatureStore, tmp_path: Path) -> None:
    other, text = tmp_path / "other.json", tmp_path / "text.json"
    other.write_text('{"path": "page.html", "bytes": 3}')
    text.write_text("shots, draw, value")
    with pytest.raises(InvalidInputError, match=r"no result at .*absent\.json"):
        report(store, tmp_path / "p.html", results=[tmp_path / "absent.json"])
    with pytest.raises(InvalidInputError, match=r"text\.json is no JSON"):
        exhibits_of([text], digests={})
    with pytest.raises(InvalidInputError, match=r"other\.json holds no result of few-shot"):
        exhibits_of([other], digests={})
    assert not (tmp_path / "p.html").exists()


def test_mistakes_are_pictures_of_the_rows_that_were_confused(
    store: FeatureStore, board: Board, tmp_path: Path
) -> None:
    pictures = (load_digits().images * 15).astype(np.uint8)
    rows = {name: row for row, name in enumerate(store.samples.ids)}
    gone = store.samples.ids[store.rows("test")[0]]
    for name, row in rows.items():
        if name != gone:
            Image.fromarray(pictures[row]).resize((32, 32), 0).save(tmp_path / name, "PNG")
    run = board.predictions
    found = mistakes(board, tmp_path)
    assert found
    by_id = {name: (run.classes[t], run.classes[p]) for name, t, p in zip(
        run.ids, run.truth, run.predicted, strict=True
    )}  # fmt: skip
    for pair in found:
        assert 0 < len(pair.images) <= min(IMAGES, pair.n)
        scores = [image.score for image in pair.images]
        assert scores == sorted(scores, reverse=True)
        for image in pair.images:
            assert by_id[image.id] == (pair.true, pair.taken_for)
            data = base64.b64decode(image.uri.partition(",")[2])
            shown = np.asarray(Image.open(io.BytesIO(data)).convert("L")).reshape(8, 4, 8, 4)
            true = pictures[rows[image.id]].astype(float)
            assert np.corrcoef(shown.mean(axis=(1, 3)).ravel(), true.ravel())[0, 1] > 0.97
    page = report(store, tmp_path / "p.html", images=tmp_path)
    assert page.read_text(encoding="utf-8").count("<img ") >= sum(
        len(pair.images) for pair in found
    )


def test_without_images_none_are_shown(store: FeatureStore, board: Board, tmp_path: Path) -> None:
    assert image_root(store.attributes["source"], None) is None
    assert mistakes(board, tmp_path) == []
    with pytest.raises(InvalidInputError, match="is no folder"):
        report(store, tmp_path / "p.html", images=tmp_path / "absent")


def test_the_map_puts_rows_of_a_class_together(store: FeatureStore, board: Board) -> None:
    found = embedding(store, board)
    assert found is not None
    assert found.features == ("upper", "lower")
    assert found.n == found.n_test == len(store.rows("test"))
    document = json.loads(found.document)
    places = np.column_stack([document["x"], document["y"]])
    assert places.min() >= 0
    assert places.max() <= 1000
    truth = np.asarray(document["truth"])
    _, near = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places)
    assert (truth[near[:, 1:]] == truth[:, None]).mean() > 0.8
    codes = dict(zip(board.predictions.ids, board.predictions.truth, strict=True))
    names = [document["classes"][code] for code in document["truth"]]
    assert names == [board.predictions.classes[codes[name]] for name in document["ids"]]
    with pytest.raises(FeatureNotFoundError, match="upper"):
        embedding(store, board, ["uper"])


def test_command_takes_results_and_names_what_it_needs(
    store: FeatureStore, results: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "p.html"
    arguments = ["report", str(store.path), "-o", str(out), "--result", str(results["similarity"])]
    result = CliRunner().invoke(group, arguments)
    assert result.exit_code == 0, result.output
    assert "Similarity of features" in out.read_text(encoding="utf-8")
    study = tmp_path / "study.toml"
    study.write_text(f'stores = ["{store.path}"]\n')
    result = CliRunner().invoke(group, ["report", str(study), "-o", str(out), "--run", "x"])
    assert result.exit_code == 2
    assert "a study says which runs" in result.output
    result = CliRunner().invoke(group, ["report", str(study), "-o", str(out)])
    assert result.exit_code == 2
    assert "no cell of the study has a run yet" in result.output
