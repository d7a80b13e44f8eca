"""Import every module of the installed package, and check that it is the installed one.

python import_everything.py FOLDER
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import featstore


def import_everything(folder: Path) -> str:
    """Return what was imported, or end the program with what is wrong."""
    names = [module.name for module in pkgutil.walk_packages(featstore.__path__, "featstore.")]
    for name in names:
        file = importlib.import_module(name).__file__
        if file is None or not Path(file).resolve().is_relative_to(folder):
            sys.exit(f"{name} came from {file}, not from {folder}")
    wanted = {"featstore.probes", "featstore.backbones", "featstore.cli", "featstore.analysis"}
    if not wanted <= set(names):
        sys.exit(f"the wheel lacks {sorted(wanted - set(names))}")
    if not (Path(featstore.__file__).parent / "py.typed").exists():
        sys.exit("the wheel lacks py.typed")
    return f"{len(names)} modules of featstore {featstore.__version__} imported from the wheel"


if __name__ == "__main__":
    print(import_everything(Path(sys.argv[1]).resolve()))
