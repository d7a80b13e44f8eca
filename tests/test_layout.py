"""The project's own shape: links, names, weight of the import."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import featstore

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(not (REPOSITORY / ".git").exists(), reason="an sdist holds copies, not links")
@pytest.mark.parametrize("name", ["probes", "backbones", "cli"])
def test_outer_folders_are_linked_into_the_package(name: str) -> None:
    link = REPOSITORY / "featstore" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name


def test_no_public_function_hides_behind_a_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(featstore.__path__)}
    assert modules & set(featstore.__all__) == {"plots", "tables"}


@pytest.mark.parametrize("name", featstore.__all__)
def test_public_names_exist_and_are_documented(name: str) -> None:
    value = getattr(featstore, name)
    assert name == "__version__" or inspect.getdoc(value)
    assert name in dir(featstore)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'prob'"):
        _ = featstore.prob


def test_every_module_says_what_it_is() -> None:
    for module in pkgutil.walk_packages(featstore.__path__, "featstore."):
        assert importlib.import_module(module.name).__doc__, module.name
