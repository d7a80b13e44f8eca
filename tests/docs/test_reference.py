"""The reference: every public name and every command has its place."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import featstore
import featstore.probes
from featstore.cli.main import COMMANDS

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    pytest.importorskip("mkdocs")
    sys.path.insert(0, str(SITE))
    try:
        return importlib.import_module("reference_pages")
    finally:
        sys.path.remove(str(SITE))


def test_every_command_and_option_is_shown(pages: ModuleType) -> None:
    shown = pages.commands()
    assert all(f"\n## {command}\n" in shown for command in COMMANDS)
    for part in ("`-o, --out TEXT`", "featstore extract [OPTIONS] IMAGES", "\\[required\\]"):
        assert part in shown
    assert "\n### study run\n" in shown
    assert "\b" not in shown


def test_every_public_name_is_shown(pages: ModuleType) -> None:
    root = SITE.parents[1]
    for module in (featstore, featstore.probes):
        shown = pages._exported(root, module.__name__, "", "").split()
        # Names with an underscore and the module of plots are elsewhere.
        names = {name for name in module.__all__ if name[0] != "_"} - {"plots"}
        assert {f"{module.__name__}.{name}" for name in names} <= set(shown)


def test_functions_that_are_called_like_their_module(pages: ModuleType) -> None:
    shown = pages._exported(SITE.parents[1], "featstore.plots", "", "").split()
    assert "featstore.plots.confusion.confusion" in shown
    assert "featstore.plots.to_svg" in shown
