"""Run the notebooks from top to bottom and keep what they print.

    python examples/execute.py                     # all, in place
    python examples/execute.py first_steps.ipynb   # some

Start times and versions of the kernel are not kept.  Outputs that show a path of this machine are
refused.
"""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent

#: In the order of reading; they share a store, which the first of them makes.
NOTEBOOKS = ("first_steps", "which_backbone", "fusion_and_redundancy", "classes_and_granularity")

_PLACE = re.compile(r"(?<![\w/.])/(?:home|root|tmp|usr|opt|var|Users|work)/\S*|site-packages")


def execute(notebook: Path, *, folder: Path = HERE, timeout: int = 600) -> nbformat.NotebookNode:
    """Return a notebook with the outputs of a new kernel.

    Parameters
    ----------
    notebook
        The file; it stays as it is.
    folder
        Where the kernel runs.
    timeout
        Seconds that a cell may take.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    """
    document = nbformat.read(notebook, as_version=4)
    # The shell may have chosen a backend that shows no figures.
    environment = {key: value for key, value in os.environ.items() if key != "MPLBACKEND"}
    client = NotebookClient(
        document,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment)
    document.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return document


def places(document: nbformat.NotebookNode) -> list[str]:
    """Return paths of this machine that outputs show."""
    shown: list[str] = []
    for output in (output for cell in document.cells for output in cell.get("outputs", [])):
        data = output.get("data", {})
        shown += [output.get("text", ""), *(data[kind] for kind in data if kind != "image/png")]
    return _PLACE.findall("\n".join(shown))


if __name__ == "__main__":
    for name in [Path(word).stem for word in sys.argv[1:]] or NOTEBOOKS:
        started = time.perf_counter()
        done = execute(HERE / f"{name}.ipynb")
        if shown := places(done):
            raise SystemExit(f"{name} shows a path of this machine: {shown[0]}")
        nbformat.write(done, HERE / f"{name}.ipynb")
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
