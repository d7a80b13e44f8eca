"""Tables: what is marked, what is escaped, and that LaTeX compiles it."""

import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featstore.errors import InvalidInputError
from featstore.typeset import Column, Table
from featstore.typeset.latex import escaped
from featstore.typeset.marks import marks

NAMES = ("vit_small & co.", "[half] 50% of #1 {x} ~ ^", "a|b < c \\ *", "°†·×→≤−–é")


@pytest.fixture
def table():
    values = (0.7414, 0.7406, 0.7399, None)
    score = Column(
        name="top-1 (%)",
        values=values,
        kind="share",
        low=(0.73, 0.7, 0.72, np.nan),
        high=(0.75, 0.76, np.nan, np.nan),
        best="highest",
        signs=("°", "= °", "†", ""),
        group="birds_1",
    )
    change = Column(
        name="drop",
        values=(0.0001, -0.02, 0.3, 0.04),
        kind="points",
        low=(-0.01, -0.03, 0.2, 0.01),
        high=(0.01, -0.01, 0.4, 0.07),
        best="lowest",
        group="birds_1",
    )
    names = Column(name="feature", values=NAMES)
    dims = Column(name="dim", values=(2048, 384, 4096, 12), kind="count")
    return Table((names, dims, score, change), title="all_of it", notes=("5 % of A&B",), rules=(2,))


def test_what_reads_the_same_is_marked_the_same(table):
    texts = [(cell.text, cell.mark) for cell in table.columns[2].cells()]
    assert texts == [("74.1", "best"), ("74.1", "best"), ("74.0", "second"), ("–", "")]
    finer = table.with_decimals(2).columns[2].cells()
    assert [cell.mark for cell in finer] == ["best", "second", "", ""]
    assert [cell.mark for cell in table.columns[3].cells()] == ["second", "best", "", ""]


@given(st.lists(st.none() | st.integers(0, 5), max_size=9), st.sampled_from(["highest", "lowest"]))
def test_marks_rank_densely(values, best):
    found = marks([None if v is None else float(v) for v in values], best)
    order = sorted({v for v in values if v is not None}, reverse=best == "highest")
    if len(order) < 2:
        assert set(found) <= {""}
        return
    for value, mark in zip(values, found, strict=True):
        place = order.index(value) if value is not None else None
        assert mark == {0: "best", 1: "second"}.get(place, "")


def test_intervals_gaps_and_signs_of_numbers(table):
    score, change = table.columns[2].cells(), table.columns[3].cells()
    assert (score[0].half, score[0].low, score[0].high) == ("1.0", "73.0", "75.0")
    assert (score[2].half, score[3].half) == ("", "")
    # What rounds to nothing is neither a gain nor a loss.
    assert [cell.text for cell in change] == ["0.0", "-2.0", "+30.0", "+4.0"]
    assert change[2].low == "+20.0"
    assert change[2].half == "10.0"


def test_markdown(table):
    lines = table.to_markdown(intervals="pm").splitlines()
    assert lines[0] == "**all_of it**"
    assert lines[2] == "| feature | dim | birds_1: top-1 (%) | birds_1: drop |"
    assert lines[3] == "|---|--:|--:|--:|"
    assert lines[4] == "| vit_small & co. | 2,048 | **74.1** ± 1.0 ° | <u>0.0</u> ± 1.0 |"
    assert lines[6] == "|  |  |  |  |"
    assert r"a\|b &lt; c \\ \*" in lines[7]
    assert lines[-1] == "5 % of A&B"
    assert "[73.0, 75.0]" in table.to_markdown()
    assert "±" not in table.to_markdown(intervals="none")


def test_frames_and_csv_hold_unrounded_values(table, tmp_path):
    frame = table.to_frame()
    assert frame["birds_1: top-1 (%)"].tolist()[:3] == [0.7414, 0.7406, 0.7399]
    read = pd.read_csv(table.save(tmp_path / "t.csv"))
    assert list(read) == list(frame)
    assert read["birds_1: drop high"].tolist() == [0.01, -0.01, 0.4, 0.07]


def test_suffixes_say_what_is_written(table, tmp_path):
    assert table.save(tmp_path / "t.md").read_text() == f"{table.to_markdown()}\n"
    assert table.save(tmp_path / "t.tex").read_text() == f"{table.to_latex()}\n"
    brackets = table.save(tmp_path / "b.tex", intervals="brackets").read_text()
    assert "[73.0, 75.0]" in brackets
    with pytest.raises(InvalidInputError, match=r"t\.xlsx must end in \.md, \.tex, \.csv"):
        table.save(tmp_path / "t.xlsx")


def test_latex(table):
    lines = table.to_latex().splitlines()
    assert lines[1:4] == [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r" &  & \multicolumn{2}{c}{birds\_1} \\",
    ]
    assert lines[4] == r"\cmidrule(lr){3-4}"
    assert r"\textbf{74.1}$_{\pm 1.0}$$^\circ$" in lines[7]
    assert lines[9] == r"\midrule"
    assert r"\textbf{$-$2.0}" in table.to_latex()


def test_latex_compiles_with_booktabs_alone(table, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    body = [
        table.to_latex(environment=True, label="tab:a"),
        table.to_latex(intervals="brackets"),
        Table((Column(name="[x", values=NAMES),)).to_latex(intervals="none"),
    ]
    text = "\n\n".join(body)
    source = (
        rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
    )
    (tmp_path / "t.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    log = (tmp_path / "t.log").read_text(errors="replace")
    assert "Missing character" not in log
    assert "Undefined" not in log


def test_every_special_letter_is_escaped():
    special = set("&%$#_{}~^\\")
    for letter in special:
        assert escaped(letter) != letter


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Table(()), "at least one column"),
        (
            lambda: Table((Column(name="a", values=(1,)), Column(name="b", values=(1, 2)))),
            r"different numbers of rows: \{'a': 1, 'b': 2\}",
        ),
        (lambda: Column(name="a", values=(1, 2), low=(0.1,)), "2 values and 1 entries of low"),
        (lambda: Table((Column(name="a", values=(1,)),)).with_decimals(-1), "got -1"),
    ],
)
def test_what_is_no_table(make, said):
    with pytest.raises(InvalidInputError, match=said):
        make()
