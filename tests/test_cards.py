from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from digits_store import make_digits_store
from IPython.core.formatters import DisplayFormatter
from small_run import make_run
from small_store import fill, make_samples, make_spec

import featstore as fs
from featstore import cards
from featstore.cards.fragment import frame_table, table, text
from featstore.cards.taxonomy import SHOWN_CLASSES
from featstore.commits import MANIFEST
from featstore.errors import StorageError
from featstore.samples import Samples, Target
from featstore.store import FeatureStore
from featstore.study import Study

NASTY = '<script>alert("1")</script> & co'
VOID = {"br", "hr", "img"}


class Card(HTMLParser):
    """What a test asks of a card; a tag left open or closed twice is an error."""

    def __init__(self, subject: Any) -> None:
        super().__init__()
        self.source: str = subject._repr_html_()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(self.source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words).replace("\N{NO-BREAK SPACE}", " "))

    def fact(self, name: str) -> str:
        """What stands beside a name."""
        (row,) = [row for row in self.rows if row[0] == name]
        return row[1].replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_digits_store(tmp_path_factory.mktemp("cards") / "digits.zarr")


@pytest.fixture(scope="module")
def runs(store: FeatureStore) -> dict[str, fs.ProbeRun]:
    return {
        "pca": fs.probe(store, "pca", value=0.1),
        "pixels": fs.probe(store, "pixels", value=0.1),
        "chosen": fs.probe(store, "pca", preset="dinov2-knn"),
        "tags": fs.probe(store, "pca", target="tags", value=0.1, thresholds=False),
    }


@pytest.fixture(scope="module")
def taxonomy() -> fs.Taxonomy:
    rows = [(f"digit {d}", "even" if d % 2 == 0 else "odd") for d in range(10)]
    return fs.Taxonomy.from_frame(pd.DataFrame(rows, columns=["digit", "parity"]))


@pytest.fixture(scope="module")
def subjects(
    store: FeatureStore, runs: dict[str, fs.ProbeRun], taxonomy: fs.Taxonomy
) -> dict[str, Any]:
    a, b = runs["pca"], runs["pixels"]
    study = Study([store.location], features=["pca"], probes=["ridge"], settings={"value": 1.0})
    return {
        "store": store,
        "feature": store.feature("pixels"),
        "run": a,
        "multi-label run": runs["tags"],
        "taxonomy": taxonomy,
        "study": study,
        "plan": study.plan(),
        "comparison": fs.compare(a, b),
        "multi-label comparison": fs.compare(runs["tags"], runs["tags"], n_boot=50),
        "gap": fs.granularity_gap(a, b, taxonomy),
        "all pairs": fs.all_pairs([a, b, runs["chosen"]], n_boot=50),
        "few shot": fs.few_shot(store, "pca", shots=[1, 2], draws=2, value=0.1),
        "quantity": fs.quantity(store, "pca", sizes=[50], draws=2, value=0.1),
        "fusion": fs.fusion(store, [("pca", "pixels")], value=0.1, n_boot=50),
        "calibration": fs.calibration(store, a, temperature=False, n_boot=50),
        "duplicates": fs.duplicates(store, "pca"),
        "shift": fs.shift(store, "pca", n_rows=300, n_permutations=20),
    }


def test_cards_are_well_formed_small_and_without_scripts(subjects: dict[str, Any]) -> None:
    for name, subject in subjects.items():
        card = Card(subject)
        assert "script" not in card.tags, name
        assert not [found for found in card.attributes if found.startswith("on")], name
        assert "//" not in card.source.replace(str(subject), ""), name
        assert card.tags.count("div") >= 2, name
        assert len(card.source) < 25_000, name
        assert "nan" not in card.text.split(), name


def test_lines_for_terminals_are_one_short_line(subjects: dict[str, Any]) -> None:
    for name, subject in subjects.items():
        if name == "study":
            continue  # its line is the call that makes it again
        line = repr(subject)
        assert re.fullmatch(f"<{type(subject).__name__} [^\n]+>", line), line
        assert len(line) < 260, line


def test_notebooks_take_the_card_and_keep_the_line(subjects: dict[str, Any]) -> None:
    for subject in subjects.values():
        shown, _ = DisplayFormatter().format(subject)
        assert shown["text/html"] == subject._repr_html_()
        assert "text/plain" in shown


def test_a_store_counts_its_classes_in_every_split(store: FeatureStore) -> None:
    card = Card(store)
    digit = store.samples.targets["digit"]
    for code, name in enumerate(digit.classes):
        (row,) = [row for row in card.rows if row[0] == name]
        of_split = [
            int((digit.codes[store.samples.splits == split] == code).sum())
            for split in ("train", "test")
        ]
        assert row[1:3] == [str(n) for n in of_split]
    tags = store.samples.targets["tags"]
    (row,) = [row for row in card.rows if row[0] == "prime"]
    assert int(row[1]) + int(row[2]) == tags.codes[:, tags.classes.index("prime")].sum()
    assert card.fact("splits") == "train 1,000 · test 797"


def test_a_store_ranks_its_runs(store: FeatureStore, runs: dict[str, fs.ProbeRun]) -> None:
    listed = [row for row in Card(store).rows if row[0] in store.runs]
    values = [float(re.findall(r"([\d.]+)\s%", row[-1])[0]) for row in listed]
    assert {row[0] for row in listed} >= {run.name for run in runs.values()}
    assert values == sorted(values, reverse=True)


def test_text_is_escaped(tmp_path: Path) -> None:
    labels = Target.from_labels([NASTY, "b"] * 10)
    splits = np.asarray(["train"] * 10 + ["test"] * 10)
    samples = Samples(np.asarray([str(i) for i in range(20)]), splits, {"<b>x": labels})
    store = FeatureStore.create(tmp_path / "nasty.zarr", samples, source={"kind": NASTY})
    fill(store, "x", np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32))
    run = fs.probe(store, "x", value=1.0, n_boot=10)
    taxonomy = fs.Taxonomy.from_frame(pd.DataFrame({"fine": [NASTY, "b"], "all": [NASTY, NASTY]}))
    for subject in (store, run, taxonomy, fs.compare(run, run, n_boot=10)):
        card = Card(subject)
        assert "script" not in card.tags
        assert card.tags.count("b") <= 1  # the store's own, around the name of a target
    assert NASTY in Card(store).text
    assert "<b>x" in Card(run).text


def test_a_run_says_its_metrics_and_how_they_came_about(runs: dict[str, fs.ProbeRun]) -> None:
    run = runs["pca"]
    card = Card(run)
    for row in run.metrics.itertuples():
        (shown,) = [cells for cells in card.rows if cells[0] == row.metric]
        assert shown[1].replace("\N{NO-BREAK SPACE}", " ") == f"{100 * row.value:.1f} %"
        assert shown[2] == f"{100 * row.low:.1f}–{100 * row.high:.1f}"
    assert card.fact("C") == "0.1, fixed"
    assert card.fact("target") == "digit, 10 classes"
    assert "proven" in card.fact("solution")
    assert 'class="warning"' not in card.source
    chosen = Card(runs["chosen"])
    assert f"{len(runs['chosen'].selection)} values of k were tried" in chosen.text


def test_a_run_warns_of_what_makes_its_number_doubtful() -> None:
    run = make_run("doubtful", seed=0)
    config = dataclasses.replace(
        run.config, selected_on="test", shared_groups=3, groups="site", nonlinear=True
    )
    tried = pd.DataFrame({"value": [0.1, 1.0], "score": [0.4, 0.5], "chosen": [False, True]})
    certificate = {"converged": False}
    doubtful = dataclasses.replace(run, config=config, selection=tried, certificate=certificate)
    card = Card(doubtful)
    assert card.source.count('<div class="warning">') == 5
    for words in (
        "was chosen on the rows that are reported",
        "3 groups of site in training and test",
        "did not reach its tolerance",
        "C = 1 is at the edge",
        "not linear",
    ):
        assert words in card.text
    assert '<div class="warning">' not in Card(run).source


def test_an_unfinished_feature_says_how_far_it_is(tmp_path: Path) -> None:
    samples = make_samples(40)
    store = FeatureStore.create(tmp_path / "s.zarr", samples)
    assert "no features yet" in Card(store).text
    spec = make_spec(samples, dim=3)
    writer = store.writer("begun", spec)
    writer.pending()
    info = store.feature("begun")
    assert not info.sealed
    assert "0 of 40 rows are committed" in Card(info).text
    assert repr(info) == "<FeatureInfo begun 40 × 3 float16, unfinished: 0 rows are committed>"
    assert "0.0 % of the rows" in Card(store).text
    excluded = dataclasses.replace(info, excluded={7: NASTY})
    assert "1 row without a readable image" in Card(excluded).text


def test_damage_is_said_in_its_place(tmp_path: Path) -> None:
    store = FeatureStore.create(tmp_path / "s.zarr", make_samples(40))
    fill(store, "x", np.ones((40, 3), np.float32))
    store.save_run(make_run("sound", seed=0, rows=range(30, 40)))
    store.save_run(make_run("torn", seed=0, rows=range(30, 40)))
    (store.path / "runs" / "torn" / "zarr.json").write_text("{")
    (manifest,) = (store.path / "features" / "x").rglob(MANIFEST)
    manifest.unlink()
    card = Card(store)
    assert "1 run cannot be read" in card.text
    assert ["x", "damaged"] in [[row[0], row[4]] for row in card.rows if len(row) == 6]


def test_a_store_that_cannot_be_listed_shows_its_samples(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlisted(self: FeatureStore, kind: str) -> list[str]:
        raise StorageError("a web server cannot be listed")

    monkeypatch.setattr(FeatureStore, "_members", unlisted)
    card = Card(store)
    assert "cannot be listed" in card.text
    assert card.fact("splits") == "train 1,000 · test 797"


def test_a_taxonomy_unfolds_to_its_finest_classes(taxonomy: fs.Taxonomy) -> None:
    card = Card(taxonomy)
    assert repr(taxonomy) == "<Taxonomy digit 10 → parity 2>"
    assert [row for row in card.rows if row[0] == "parity"] == [["parity", "2", "even, odd"]]
    assert "digit 1, digit 3, digit 5, digit 7, digit 9" in card.text


def test_a_class_with_several_parents_is_under_each() -> None:
    rows = [("barn", "farm"), ("barn", "field"), ("lake", "water")]
    frame = pd.DataFrame(rows, columns=["scene", "type"])
    card = Card(fs.Taxonomy.from_frame(frame, multiple_parents=True))
    assert "1 class with several parents" in card.text
    tree = card.text[card.text.index("from type to scene") :]
    assert tree.count("barn") == 2


def test_a_large_taxonomy_stays_small() -> None:
    n = 10_000
    frame = pd.DataFrame(
        {
            "species": [f"species {i}" for i in range(n)],
            "genus": [f"genus {i // 4}" for i in range(n)],
            "family": [f"family {i // 500}" for i in range(n)],
        }
    )
    card = Card(fs.Taxonomy.from_frame(frame))
    assert len(card.source) < 60_000
    assert len(re.findall(r"species \d", card.text)) <= SHOWN_CLASSES
    assert "more" in card.text
    assert "10,000" in card.text


def test_a_study_shows_where_it_stands(store: FeatureStore) -> None:
    probes = ["centroid", {"probe": "knn", "value": 5000}]
    study = Study([store.location], features=["pca"], probes=probes)
    assert "2 pending" in Card(study).text
    plan = study.run()
    after = Card(plan)
    assert repr(plan) == "<StudyPlan 2\N{NO-BREAK SPACE}cells: 1 done, 1 failed>"
    assert "k=5000 neighbours cannot be had" in after.text
    assert "results" in after.text
    absent = Card(Study(["nowhere.zarr"], features=["pca"]))
    assert "no store at" in absent.text


def test_a_comparison_says_what_the_interval_says(runs: dict[str, fs.ProbeRun]) -> None:
    found = fs.compare(runs["pca"], runs["pixels"])
    card = Card(found)
    interval = card.fact("95 % interval")
    assert ("includes 0" in interval) == (found.low <= 0 <= found.high)
    same = fs.compare(runs["pca"], runs["pca"])
    assert "cannot tell the two apart" in Card(same).fact("95 % interval")
    assert "none was computed" in Card(fs.compare(runs["pca"], runs["pca"], n_boot=0)).text


def test_tables_align_numbers_and_count_what_is_left_out() -> None:
    frame = pd.DataFrame({"name": ["a", None], "n": [1, 2], "share": [np.nan, 0.5]})
    laid = frame_table(frame, limit=1)
    assert '<th class="n">n</th>' in laid
    assert "<th>name</th>" in laid
    assert "… 1 more" in laid
    assert '<td class="n">–</td>' in laid
    assert "more" not in frame_table(frame, limit=2)
    assert '<td class="n">+2.3</td>' in table(["points"], [["+2.3"], ["−1.0"]])
    assert text(None) == "–"


def test_subclasses_have_the_card_of_their_class(taxonomy: fs.Taxonomy) -> None:
    class Special(fs.Taxonomy):
        pass

    special = Special(taxonomy.levels, taxonomy.names, taxonomy.parents)
    assert cards.html(special) == cards.html(taxonomy)
