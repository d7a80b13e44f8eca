from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from report_store import NAMES, make_run, report_store
from sklearn.metrics import accuracy_score, average_precision_score

from featstore.cli.main import group
from featstore.cli.probe import command as probe_cli
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.html_report import report
from featstore.html_report.board import Board, boards
from featstore.html_report.command import probe_command
from featstore.html_report.finding import findings
from featstore.html_report.label import labels
from featstore.run import ProbeRun
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Everything a test asks of a page; a tag left open or closed twice is an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.markup = re.sub(r"<script>.*?</script>", "", self.source, flags=re.DOTALL)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.headings: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(self.source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag in ("h1", "h2", "h3"):
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing, line {self.getpos()[0]}"
        opened = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>, line {self.getpos()[0]}"

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self.open):
            return
        self.text.append(data)
        if "table" in self.open and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data
        if {"h1", "h2", "h3"} & set(self.open):
            self.headings[-1] += data

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def values(self, name: str) -> list[str]:
        return [value for _, attribute, value in self.attributes if attribute == name]

    def leaderboard(self) -> dict[str, list[str]]:
        """Cells of the first table by the label of the run."""
        rows = [[" ".join(cell.split()) for cell in row] for row in self.tables[0][1:]]
        return {row[1]: row for row in rows}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return report_store(tmp_path_factory.mktemp("s"))


@pytest.fixture(scope="module")
def page(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(report(store, tmp_path_factory.mktemp("p") / "page.html"))


@pytest.fixture
def _tidy(store: FeatureStore) -> Iterator[None]:
    """Take away what a test saves into the store that all share."""
    before = set(store.runs)
    yield
    for name in set(store.runs) - before:
        store.delete_run(name)


def board_of(store: FeatureStore, *runs: ProbeRun) -> Board:
    digests = {name: store.feature(name).spec.digest for name in store.features}
    (board,) = boards(runs, targets=["digit", "tags"], digests=digests)
    return board


def sentences(board: Board) -> str:
    text = " ".join(re.sub(r"<[^>]*>", "", sentence) for sentence in findings(board))
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_is_well_formed_and_small(page: Page) -> None:
    ids = Counter(page.values("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    anchors = [value[1:] for value in page.values("href") if value.startswith("#")]
    assert anchors
    assert set(anchors) <= set(ids)
    used = re.findall(r"url\(#([^)]+)\)", page.markup)
    assert set(used) <= set(ids)
    assert len(page.source.encode()) < 2_000_000


def test_refers_to_nothing_outside(page: Page) -> None:
    for tag, name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "action", "data", "srcset", "poster"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    for target in re.findall(r"url\(([^)]*)\)", page.markup):
        assert target.startswith("#")
    assert "@import" not in page.source
    # What the scripts ask for is seen in a browser, tests/test_report_page.py.
    assert "http:" not in page.markup
    assert "https:" not in page.markup


def digest_of(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def test_policy_allows_the_scripts_that_are_there_and_no_other(page: Page) -> None:
    scripts = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    policy = next(value for value in page.values("content") if "default-src" in value)
    allowed = policy.partition("script-src ")[2].split()
    assert allowed == [f"'sha256-{digest_of(script)}'" for script in scripts]
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy


def test_embedded_scripts_are_those_that_were_published() -> None:
    folder = resources.files("featstore") / "templates" / "vendor"
    told = dict(
        re.findall(r"`(\S+\.js)` \|.*\| `([0-9a-f]{64})`", (folder / "README.md").read_text())
    )
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".js")}
    assert set(told) == set(files)
    for name, digest in told.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest


def test_a_single_run_carries_no_drawing_scripts(store: FeatureStore, tmp_path: Path) -> None:
    page = Page(report(store, tmp_path / "p.html", runs=["knn-upper-digit"]))
    assert "observablehq" not in page.source
    assert len(page.source.encode()) < 200_000


def test_holds_every_run_and_class_escaped(page: Page, store: FeatureStore) -> None:
    for name in store.runs:
        assert name in page.words
    for name in [*NAMES, "<round>", "<group>", '/data/<digits> & "more"']:
        assert name in page.words
    assert not re.search(r"<b>|<round>|<group>|<digits>", page.source)


def test_order_of_the_contents(page: Page) -> None:
    first = page.headings[: page.headings.index("tags")]
    assert first[1:] == [
        "Summary",
        "digit",
        "Leaderboard",
        "Granularity",
        "Classes",
        "Comparison",
        "Gains of classes",
        "Difficulty",
        "Fusion",
        "Calibration",
        "Choice of C and k",
    ]
    assert (
        page.headings[-5:]
        == [
            "Provenance",
            "Features",
            "Runs",
            "Make it again",
            "Machines and versions",
            "History of the store",
        ][-5:]
    )


def accuracies(store: FeatureStore) -> dict[str, float]:
    """Accuracy of every single-label run by its label, the best first."""
    found = {}
    for name in store.runs:
        run = store.run(name)
        if not run.predictions.multilabel:
            label = f"{' + '.join(run.config.features)} · {run.config.probe}"
            called = run.predictions.scores.argmax(axis=1)
            found[label] = float(accuracy_score(run.predictions.truth, called))
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def test_leaderboard_has_scikit_learns_accuracies_best_first(
    page: Page, store: FeatureStore
) -> None:
    rows, expected = page.leaderboard(), accuracies(store)
    assert list(rows) == list(expected)
    for label, accuracy in expected.items():
        assert rows[label][2].startswith(f"{100 * accuracy:.1f}")
    assert [row[0] for row in rows.values()] == ["1", "2", "3", "4", "5", "6"]


def test_summary_compares_the_fused_run_to_the_best_single_one(
    page: Page, store: FeatureStore
) -> None:
    expected = accuracies(store)
    best = next(iter(expected))
    single = next(label for label in expected if "+" not in label)
    assert best.startswith("upper + lower")
    gain = expected[best] - expected[single]
    assert f"{best} scores highest: {100 * expected[best]:.1f} % (" in page.words
    assert f" +{100 * gain:.1f} points (" in page.words
    assert f"over the best single-feature run, {single}, an interval" in page.words


def test_multilabel_has_average_precisions_and_nothing_single_label(
    page: Page, store: FeatureStore
) -> None:
    predictions = store.run("logistic-upper+lower-tags").predictions
    expected = average_precision_score(predictions.truth, predictions.scores, average=None)
    (table,) = [table for table in page.tables if "average precision %" in table[0]]
    cells = [row[table[0].index("average precision %")].strip() for row in table[1:]]
    assert cells == [f"{100 * value:.1f}" for value in expected]
    after = page.headings[page.headings.index("tags") :]
    assert "Granularity" not in after
    assert "Comparison" not in after
    assert "There is no other run on these rows" in page.words


def test_is_deterministic_up_to_the_date(store: FeatureStore, tmp_path: Path) -> None:
    def dateless(name: str) -> str:
        text = report(store, tmp_path / name / "page.html").read_text(encoding="utf-8")
        text = re.sub(r"<time.*?</time>", "", text)
        return text.replace(str(tmp_path / name), "")

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert dateless("a") == dateless("b")


def test_leaves_the_store_as_it_was(store: FeatureStore, tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}

    before = content()
    report(store, tmp_path / "page.html")
    assert content() == before


def test_only_the_named_runs(store: FeatureStore, tmp_path: Path) -> None:
    runs = ["knn-upper-digit", "knn-lower-digit"]
    page = Page(report(store, tmp_path / "p.html", runs=runs, title="<Two> runs"))
    assert page.headings[0] == "<Two> runs"
    assert set(page.leaderboard()) == {"upper · knn", "lower · knn"}
    assert "--name logistic-upper-digit" not in page.words
    assert "--run knn-upper-digit --run knn-lower-digit" in page.words


@pytest.mark.usefixtures("_tidy")
def test_selected_on_test_is_labelled_and_not_ranked(store: FeatureStore, tmp_path: Path) -> None:
    perfect = np.eye(10, dtype=np.float32)[store.samples.targets["digit"].codes[store.rows("test")]]
    store.save_run(
        make_run(store, ("upper",), selected_on="test", scores=perfect, name="cheat", value=10.0)
    )
    page = Page(report(store, tmp_path / "p.html"))
    rows = page.leaderboard()
    (row,) = [row for label, row in rows.items() if label.endswith("selected on test")]
    assert row[0] == "–"
    assert row[2].startswith("100.0")
    best = next(label for label, row in rows.items() if row[0] == "1")
    assert best.startswith("upper + lower")
    assert f"{best} scores highest of the runs that chose nothing on the test rows" in page.words
    drawn = re.findall(r"<text[^>]*>\(selected on test\)", page.source)
    assert drawn


def test_a_run_that_did_not_converge_is_labelled(store: FeatureStore) -> None:
    run = make_run(store, ("upper",))
    lazy = dataclasses.replace(run, certificate={**run.certificate, "converged": False})
    board = board_of(store, lazy)
    assert board.best.warnings == ("not converged",)
    assert "(not converged)" in sentences(board)


def test_a_feature_that_changed_since_is_labelled(store: FeatureStore) -> None:
    changed = make_run(store, ("upper",), spec_digests=("f" * 64,))
    assert board_of(store, changed).best.warnings == ("feature has changed since",)
    gone = boards([changed], targets=["digit"], digests={})
    assert gone[0].best.warnings == ("feature no longer stored",)


@pytest.mark.usefixtures("_tidy")
def test_other_test_rows_are_never_ranked_together(store: FeatureStore, tmp_path: Path) -> None:
    half = store.rows("test")[::2]
    store.save_run(make_run(store, ("upper",), rows=half, name="half"))
    page = Page(report(store, tmp_path / "p.html"))
    assert "tested on 2 different sets of rows" in page.words
    n = len(store.rows("test"))
    titles = [heading.replace("\N{NO-BREAK SPACE}", " ") for heading in page.headings]
    assert f"digit · test ({n} rows)" in titles
    assert f"digit · test ({len(half)} rows)" in titles
    assert len(page.leaderboard()) == 6


def test_runs_that_cannot_be_told_apart_are_said_to_be(store: FeatureStore) -> None:
    a = make_run(store, ("upper", "lower"))
    scores, truth = a.predictions.scores.copy(), a.predictions.truth
    wrong = np.flatnonzero(scores.argmax(axis=1) != truth)[:2]
    right = np.flatnonzero(scores.argmax(axis=1) == truth)[:3]
    # b wins two rows and loses three.
    scores[wrong] = np.eye(10)[truth[wrong]]
    scores[right] = np.eye(10)[(truth[right] + 1) % 10]
    b = make_run(store, ("upper",), scores=scores)
    text = sentences(board_of(store, a, b))
    assert "includes zero: the two are not distinguishable" in text
    assert "excludes zero" not in text
    assert "on these rows the two are equal" in sentences(
        board_of(store, a, make_run(store, ("upper",), scores=a.predictions.scores))
    )


def test_claims_nothing_without_an_interval(store: FeatureStore) -> None:
    a, b = make_run(store, ("upper", "lower")), make_run(store, ("upper",))
    digests = {name: store.feature(name).spec.digest for name in store.features}
    (board,) = boards([a, b], targets=["digit"], digests=digests, n_boot=0)
    assert "Fusing gains" in sentences(board)
    assert "nothing can be said of the difference" in sentences(board)
    assert "zero" not in sentences(board)


def test_fusion_takes_no_credit_over_a_feature_it_lacks(store: FeatureStore) -> None:
    fused = make_run(store, ("upper", "lower"))
    other = make_run(store, ("upper",))
    other = dataclasses.replace(
        other, config=dataclasses.replace(other.config, features=("elsewhere",))
    )
    text = sentences(board_of(store, fused, other))
    assert "Fusing gains" not in text
    assert "over the best single-feature run, elsewhere · logistic" in text


def test_fusion_that_does_not_win_is_reported(store: FeatureStore) -> None:
    upper, lower = make_run(store, ("upper",)), make_run(store, ("lower",))
    noise = np.random.default_rng(0).random(upper.predictions.scores.shape)
    fused = make_run(store, ("upper", "lower"), scores=noise)
    board = board_of(store, upper, lower, fused)
    assert not board.best.fused
    assert "The best fused run, upper + lower · logistic, is " in sentences(board)


def test_labels_are_unique_and_no_longer_than_needed(store: FeatureStore) -> None:
    run = make_run(store, ("upper",))

    def like(**changes: object) -> ProbeRun:
        name = f"r{len(changes)}"
        return dataclasses.replace(
            run,
            name=name,
            config=dataclasses.replace(run.config, **changes),  # type: ignore[arg-type]
        )

    assert labels([run]) == ["upper · logistic"]
    assert labels([run, like(scaling="l2")]) == [
        "upper · logistic, unscaled",
        "upper · logistic, l2 scaling",
    ]
    same = [run, like()]
    assert labels(same) == ["upper · logistic, logistic-upper-digit", "upper · logistic, r0"]
    many = labels([run, like(value=3.0), like(seed=2), like(value=3.0, seed=2)])
    assert len(set(many)) == 4


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"val": None, "value": None, "train": "train", "test": "test"}),
        ({"selected_on": "fixed", "value": 0.3}, {"value": 0.3}),
        ({"selected_on": "val", "train_split": "train+val"}, {"val": "val", "train": "train"}),
        ({"selected_on": "test", "test_split": "test"}, {"val": "test"}),
        ({"scaling": "standardise", "seed": 3}, {"scaling": "standardise", "seed": 3}),
        ({"preset": "clip-readme", "selected_on": "fixed", "value": 0.316}, {"value": None}),
    ],
)
def test_commands_give_back_the_configuration(
    store: FeatureStore, changes: dict[str, object], expected: dict[str, object]
) -> None:
    run = make_run(store, ("upper", "lower"), **changes)  # type: ignore[arg-type]
    line = probe_command(run.config, run.name, "a b.zarr", splits=["train", "val", "test"])
    words = shlex.split(line)
    assert words[:2] == ["featstore", "probe"]
    options = probe_cli.make_context("probe", words[2:]).params
    assert options["store"] == "a b.zarr"
    assert options["fuse"] == "upper,lower"
    assert options["preset"] == run.config.preset
    assert options["target"] == "digit"
    assert options["name"] == run.name
    assert {key: options[key] for key in expected} == expected


def test_granularity_is_right_at_the_coarse_level(page: Page, store: FeatureStore) -> None:
    probe = next(iter(accuracies(store))).split()[-1]
    predictions = store.run(f"{probe}-upper+lower-digit").predictions
    group = np.asarray([name[0] == "<" for name in predictions.classes])
    expected = (group[predictions.scores.argmax(axis=1)] == group[predictions.truth]).mean()
    (table,) = [t for t in page.tables if t[0] and "<group>" in t[0][1]]
    assert table[1][1].startswith(f"{100 * expected:.1f}")


def test_a_taxonomy_that_covers_nothing_is_refused(store: FeatureStore, tmp_path: Path) -> None:
    other = Taxonomy.from_frame(pd.DataFrame({"a": ["x", "y"], "b": ["z", "z"]}))
    with pytest.raises(InvalidInputError, match="10 of 10 classes are missing"):
        report(store, tmp_path / "p.html", taxonomy=other)
    with pytest.raises(InvalidInputError, match="multi-label"):
        report(store, tmp_path / "p.html", taxonomy=other, runs=["logistic-upper+lower-tags"])
    assert list(tmp_path.iterdir()) == []


def test_errors_say_what_to_do(store: FeatureStore, tmp_path: Path) -> None:
    empty = FeatureStore.create(tmp_path / "empty.zarr", store.samples)
    with pytest.raises(InvalidInputError, match="featstore probe"):
        report(empty, tmp_path / "p.html")
    with pytest.raises(InvalidInputError, match="at least one run"):
        report(store, tmp_path / "p.html", runs=[])
    with pytest.raises(FeatureNotFoundError, match="knn-upper-digit"):
        report(store, tmp_path / "p.html", runs=["knn-uper-digit"])
    with pytest.raises(InvalidInputError, match="is a folder"):
        report(store, tmp_path)
    with pytest.raises(InvalidInputError, match="no folder"):
        report(store, tmp_path / "absent" / "p.html")


def test_command_writes_and_says_where(store: FeatureStore, tmp_path: Path) -> None:
    taxonomy = tmp_path / "t.csv"
    store.taxonomy("groups").to_frame().to_csv(taxonomy, index=False)
    out = tmp_path / "page.html"
    arguments = ["report", str(store.path), "--out", str(out), "--run", "knn-upper-digit"]
    result = CliRunner().invoke(group, [*arguments, "--taxonomy", str(taxonomy), "--title", "T"])
    assert result.exit_code == 0, result.output
    assert str(out) in result.output
    assert "kB" in result.output
    assert "Granularity" in Page(out).headings
    result = CliRunner().invoke(group, [*arguments, "--taxonomy", "typo"])
    assert result.exit_code == 2
    assert "groups" in result.output
