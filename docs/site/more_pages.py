"""Pages of docs/ that mkdocs.yml does not name, under More: nothing that is written is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Add them to the navigation."""
    docs = Path(config.docs_dir)
    named = set(_named(config.nav))
    found = [path.relative_to(docs) for path in sorted(docs.rglob("*.md"))]
    more = [path.as_posix() for path in found if path.as_posix() not in named]
    if more:
        config.nav.append({"More": more})
    return config


def _named(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for entry in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(entry)
