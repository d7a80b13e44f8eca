"""The notebooks under examples/: as committed, and as they run."""

from __future__ import annotations

import ast
import base64
import importlib
import inspect
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pandas as pd
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LARGEST_FIGURE = 60_000
LARGEST_NOTEBOOK = 300_000


@pytest.fixture(scope="module")
def execution() -> Iterator[ModuleType]:
    """Import examples/execute.py as one runs it: from its folder."""
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("execute")
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, execution: ModuleType) -> Path:
    """Return a copy of examples/ without its stores: notebooks write beside themselves."""
    place = tmp_path_factory.mktemp("notebooks") / "examples"
    shutil.copytree(EXAMPLES, place, ignore=shutil.ignore_patterns("stores", "__pycache__"))
    leave_a_few(place / "stores")
    ask_for_less(place)
    return place


def notebook(name: str) -> Any:
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def names() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.ipynb"))


def code_cells(document: Any) -> list[Any]:
    return [cell for cell in document.cells if cell.cell_type == "code"]


def outputs(document: Any) -> Iterator[Any]:
    for cell in code_cells(document):
        yield from cell.outputs


def python(document: Any) -> ast.Module:
    """Parse all code cells as one module, magics left out."""
    lines = "\n".join(cell.source for cell in code_cells(document)).splitlines()
    return ast.parse("\n".join(line for line in lines if not line.startswith("%")))


def resolved(node: ast.expr, known: dict[str, Any]) -> Any:
    """Return what a dotted name such as ``fs.plots.quantity`` stands for, None if no module's.

    Raises AttributeError where a module does not have the name.
    """
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolved(node.value, known)
        return None if owner is None else getattr(owner, node.attr)
    return None


def test_the_list_of_notebooks_is_complete(execution: ModuleType) -> None:
    assert sorted(execution.NOTEBOOKS) == names()
    assert len(names()) == 4


@pytest.mark.parametrize("name", names())
def test_committed_notebooks_are_executed(name: str, execution: ModuleType) -> None:
    document = notebook(name)
    nbformat.validate(document)
    cells = code_cells(document)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs(document) if output.output_type == "error"]
    assert not [output for output in outputs(document) if output.get("name") == "stderr"]
    assert execution.places(document) == []
    shown = [data for output in outputs(document) if (data := output.get("data"))]
    figures = [len(base64.b64decode(data["image/png"])) for data in shown if "image/png" in data]
    assert figures
    assert max(figures) < LARGEST_FIGURE
    cards = [
        data["text/html"] for data in shown if 'class="featstore"' in data.get("text/html", "")
    ]
    assert len(cards) >= 2
    assert not [card for card in cards if "<script" in card]
    assert (EXAMPLES / f"{name}.ipynb").stat().st_size < LARGEST_NOTEBOOK


@pytest.mark.parametrize("name", names())
def test_notebooks_call_what_there_is(name: str, execution: ModuleType) -> None:
    tree = python(notebook(name))
    known: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module = importlib.import_module(alias.name)
                known[alias.asname or alias.name] = module
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            module = importlib.import_module(node.module)
            known |= {alias.name: getattr(module, alias.name) for alias in node.names}
    assert {"fs", "at_hand"} <= known.keys()
    calls = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            resolved(node, known)
        if isinstance(node, ast.Call) and (called := resolved(node.func, known)) is not None:
            keywords = {word.arg: None for word in node.keywords if word.arg is not None}
            inspect.signature(called).bind_partial(*node.args, **keywords)
            calls += called.__module__.startswith("featstore")
    assert calls >= 4


def test_a_name_that_is_not_there_is_found() -> None:
    tree = ast.parse("fs.prob(1)", mode="eval")
    assert isinstance(tree.body, ast.Call)
    with pytest.raises(AttributeError, match="prob"):
        resolved(tree.body.func, {"fs": importlib.import_module("featstore")})


def test_paths_of_a_machine_are_found(execution: ModuleType) -> None:
    line = nbformat.v4.new_output("stream", text="weights at /home/me/lite0.pth\n")
    cell = nbformat.v4.new_code_cell("1", outputs=[line])
    assert execution.places(nbformat.v4.new_notebook(cells=[cell])) != []
    line.text = "stores/lite0.pth, onnx:#/backbone/layernorm"
    assert execution.places(nbformat.v4.new_notebook(cells=[cell])) == []


#: What the copies that are run ask for, in place of what the notebooks ask for.
FEWER = {
    "classes_and_granularity": ("train=2000, test=1000", "train=240, test=120"),
    "which_backbone": ("sizes=[40, 80, 160, 320]", "sizes=[10, 20, 30, 50]"),
}


def ask_for_less(place: Path) -> None:
    """Let the copies draw from fewer images: every cell runs, and the suite has time for all."""
    for name, (said, instead) in FEWER.items():
        path = place / f"{name}.ipynb"
        text = path.read_text()
        assert text.count(said) == 1
        path.write_text(text.replace(said, instead))


def leave_a_few(stores: Path) -> None:
    """Write the table of images that `at_hand.solar_cells` then finds: enough for every cell."""
    at_hand = importlib.import_module("at_hand")
    at_hand.solar_cells(stores)
    table = stores / "solar_cells.csv"
    few = pd.read_csv(table).groupby("cell").sample(frac=0.1, random_state=0).sort_index()
    few.to_csv(table, index=False)


@pytest.mark.parametrize("name", names())
def test_notebooks_run(name: str, execution: ModuleType, workplace: Path) -> None:
    if name == "classes_and_granularity" and not Path("/usr/share/datasets/fashion-mnist").is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    fresh = execution.execute(workplace / f"{name}.ipynb", folder=workplace)
    assert not [output for output in outputs(fresh) if output.output_type == "error"]
    for committed, cell in zip(code_cells(notebook(name)), code_cells(fresh), strict=True):
        kinds = [sorted(output.get("data", {"text": ""})) for output in cell.outputs]
        assert kinds == [sorted(o.get("data", {"text": ""})) for o in committed.outputs]
