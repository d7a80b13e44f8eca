"""Tables at a terminal: whatever the width, every character of every cell is there."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from featstore.cli.terminal_table import fitted, wrapped

COLUMNS = ["run", "target", "probe", "corruption", "value", "interval"]
RIGHT = [False, False, False, False, True, False]
ROWS = [
    ["logistic-resnet50+dinov2-label-9133df", "label", "logistic, C = 0.03", "", "55 %", "44 – 66"],
    ["knn-[b]dino[/b]-label-8f3c67", "label", "knn, k = 20", "", "74 %", "65 – 84"],
]


def printed(width: int, shown: int | None) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    console.print(fitted(COLUMNS, ROWS, RIGHT, shown))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_nothing_is_cut(width: int) -> None:
    lines = printed(width, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "…" not in text
    for row in ROWS:
        assert row[0] in text, "a name can be copied, and is not read as markup"
        assert row[4] in text
        assert row[5] in text


def test_without_a_width_each_row_is_one_line_with_all_columns() -> None:
    lines = printed(1000, None)
    assert any(all(name in line for name in COLUMNS) for line in lines)
    assert any(all(cell in line for cell in ROWS[0]) for line in lines)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("repo/dinov2, dinov2/eval/knn.py", 13, ["repo/dinov2,", "dinov2/eval/", "knn.py"]),
        ("efficientnet-lite0-57934424.pth", 14, ["efficientnet-", "lite0-57934424", ".pth"]),
        ("efficientnet_lite0", 12, ["efficientnet", "_lite0"]),
        ("+1.39 [-0.28, +3.34]", 8, ["+1.39", "[-0.28,", "+3.34]"]),
        ("1e-06 … 100000 (45)", 12, ["1e-06 …", "100000 (45)"]),
        ("9300a9f483e8629e", 8, ["9300a9f483e8629e"]),
    ],
)
def test_paths_and_names_break_at_their_signs_and_numbers_do_not(
    text: str, width: int, lines: list[str]
) -> None:
    assert wrapped(text, width).splitlines() == lines
