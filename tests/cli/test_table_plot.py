"""`featstore table` and `featstore plot`: what the library makes, written as asked."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from digits_store import make_digits_store

import featstore as fs
from featstore import plots, tables
from featstore.cli.main import group
from featstore.cli.plot import KINDS
from featstore.store import FeatureStore
from featstore.taxonomy import Taxonomy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    store = make_digits_store(tmp_path_factory.mktemp("paper") / "digits.zarr")
    for feature in ("pixels", "pca"):
        fs.probe(store, feature, probe="ridge", name=feature)
    classes = store.run("pca").predictions.classes
    rows = [(name, f"half {i // 5}") for i, name in enumerate(classes)]
    store.save_taxonomy("halves", Taxonomy.from_frame(pd.DataFrame(rows, columns=["d", "half"])))
    return store


@pytest.fixture
def call() -> Callable[..., Result]:
    def run(*words: object, code: int = 0) -> Result:
        done = CliRunner().invoke(group, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done

    return run


def test_tables_are_those_of_the_library(
    store: FeatureStore, call: Callable[..., Result], tmp_path: Path
) -> None:
    place = store.location
    board = tables.leaderboard(store)
    assert call("table", place).output == f"{board.to_markdown()}\n"
    assert call("table", place, "--format", "latex").output == f"{board.to_latex()}\n"
    assert call("table", place, "--format", "csv").output == board.to_csv()
    environment = call("table", place, "--format", "latex", "--environment").output
    assert environment == f"{board.to_latex(environment=True)}\n"
    out = tmp_path / "t.tex"
    call("table", place, "--intervals", "none", "--decimals", 2, "--out", out)
    assert out.read_text() == f"{board.with_decimals(2).to_latex(intervals='none')}\n"
    metrics = call("table", place, "--columns", "metric", "--run", "pca", "--dims").output
    assert "| features | dim | top-1 |" in metrics or "| dim | top-1 |" in metrics
    runs = [store.run(name) for name in ("pca", "pixels")]
    assert call("table", place, "--kind", "comparison").output.count("ahead of") == 1
    taxonomy = store.taxonomy("halves")
    levels = call("table", place, "--kind", "granularity", "--taxonomy", "halves").output
    assert levels == f"{tables.granularity(runs, taxonomy).to_markdown()}\n"
    for kind in ("cross-domain", "per-class", "similarity"):
        assert call("table", place, "--kind", kind).output.count("pixels") >= 1
    changed = ("--kind", "changed-classes", "--run", "pca", "--against", "pixels", "--limit", 2)
    assert "improved" in call("table", place, *changed).output


@pytest.fixture(scope="module")
def files(store: FeatureStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results as the commands write them."""
    folder = tmp_path_factory.mktemp("results")
    run = CliRunner()
    shared = [store.location, "-f", "pca", "--draws", "2"]
    quantity = ["quantity", *shared, "--probe", "ridge", "--value", "1", "--sizes", "50,100"]
    run.invoke(group, [*quantity, "--out", str(folder / "quantity.json")])
    shots = ["few-shot", *shared, "--probe", "centroid", "--shots", "1,5"]
    run.invoke(group, [*shots, "--out", str(folder / "few-shot.json")])
    fusion = ["fusion", store.location, "--probe", "ridge", "--json"]
    (folder / "fusion.json").write_text(run.invoke(group, fusion).output)
    drop = ["corruptions", store.location, "--clean", "pixels", "--corrupted", "pca=pca", "--json"]
    (folder / "corruption-drop.json").write_text(run.invoke(group, drop).output)
    return folder


@pytest.mark.parametrize("kind", ["quantity", "few-shot", "fusion", "corruption-drop"])
def test_tables_of_result_files(files: Path, call: Callable[..., Result], kind: str) -> None:
    source = files / f"{kind}.json"
    printed = call("table", source, "--kind", kind, "--format", "csv").output
    document = json.loads(source.read_text())
    if kind == "fusion":
        assert str(document["pairs"][0]["gain"]) in printed
    elif kind == "corruption-drop":
        assert str(document[0]["drops"][0]["drop"]) in printed
    else:
        assert str(document[0]["summary"][0]["mean"]) in printed


OPTIONS = {
    "granularity": ("--taxonomy", "halves"),
    "class-averages": ("--taxonomy", "halves"),
    "kin-confusion": ("--taxonomy", "halves", "--run", "pca"),
    "granularity-gap": ("--taxonomy", "halves", "--run", "pca", "--against", "pixels"),
    "group-gains": ("--taxonomy", "halves", "--run", "pca", "--against", "pixels"),
    "gain-curve": ("--run", "pca", "--against", "pixels"),
    "difficulty": ("--run", "pca", "--against", "pixels"),
} | dict.fromkeys(("per-class", "confusion", "selection-curve", "label-noise"), ("--run", "pca"))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "critical-difference"])
def test_every_kind_is_drawn(
    store: FeatureStore, files: Path, call: Callable[..., Result], tmp_path: Path, kind: str
) -> None:
    source = files / f"{kind}.json"
    out = tmp_path / "figure.svg"
    place = source if source.exists() else store.location
    call("plot", kind, place, *OPTIONS.get(kind, ()), "--style", "cvpr", "--out", out)
    text = out.read_text()
    assert text.startswith("<svg")
    assert 'width="234pt"' in text  # 3.25 inches


def test_figures_are_what_the_suffix_says(
    store: FeatureStore, call: Callable[..., Result], tmp_path: Path
) -> None:
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG"), (".svg", b"<svg")):
        out = tmp_path / f"figure{suffix}"
        call("plot", "leaderboard", store.location, "--out", out)
        assert out.read_bytes().startswith(start)
    assert "currentColor" in (tmp_path / "figure.svg").read_text()
    wide = tmp_path / "wide.svg"
    call("plot", "leaderboard", store.location, "--style", "nature", "--width", "5", "--out", wide)
    assert 'width="360pt"' in wide.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plot", "leaderboard", "STORE"), "--out leaderboard.pdf"),
        (("plot", "confusion", "STORE", "--out", "x.svg"), "draws one run"),
        (("plot", "gain-curve", "STORE", "--out", "x.svg"), "the baseline with --against"),
        (("plot", "granularity", "STORE", "--out", "x.svg"), "--taxonomy"),
        (("plot", "leaderboard", "STORE", "--width", "wide", "--out", "x.svg"), "got 'wide'"),
        (("plot", "leaderboard", "STORE", "--out", "x.gif"), "must end in"),
        (("plot", "quantity", "STORE", "--out", "x.svg"), "featstore quantity"),
        (("table", "STORE", "--preset", "knn"), "no stored run fits"),
        (("table", "STORE", "STORE", "--kind", "per-class"), "one store, got 2"),
        (("table", "STORE", "--out", "x.txt"), "must end in"),
        (("table", "nowhere.json", "--kind", "fusion"), "there is no file nowhere.json"),
    ],
)
def test_what_cannot_be_made_is_said(
    store: FeatureStore, call: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    filled = [store.location if word == "STORE" else word for word in words]
    assert said in call(*filled, code=2).stderr


def test_styles_leave_nothing_behind(store: FeatureStore, tmp_path: Path) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with plots.style("nature"):
        inside = plots.leaderboard([store.run("pca"), store.run("pixels")])
    assert dict(mpl.rcParams) == before
    outside = plots.leaderboard([store.run("pca"), store.run("pixels")])
    assert inside.figure.get_figwidth() == 3.5
    assert outside.figure.get_figwidth() > 4.8
    pdf = plots.save(inside, tmp_path / "f.pdf")
    content = pdf.read_bytes()
    assert b"/CIDFontType2" in content  # how PDF calls TrueType
    assert b"/Type3" not in content
    with plots.style("nature"):
        again = plots.leaderboard([store.run("pca"), store.run("pixels")])
    assert plots.save(again, tmp_path / "g.pdf").read_bytes() == content
