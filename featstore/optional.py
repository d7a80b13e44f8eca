"""Optional packages: import what needs one, or say how to install it."""

from __future__ import annotations

import importlib
from types import ModuleType

from featstore.errors import MissingDependencyError


def import_optional(module: str, *, extra: str) -> ModuleType:
    """Import a module of, or one that needs, packages that are not installed by default.

    Raises
    ------
    MissingDependencyError
        Naming the missing package and the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("featstore"):
            raise
        raise MissingDependencyError(
            f'{error.name} is not installed; run: pip install "featstore[{extra}]"'
        ) from error
