"""Links of the pages: they work where the files lie, and every page is in the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("docs/*.md"),
    *REPOSITORY.glob("docs/design/*.md"),
    REPOSITORY / "benchmarks" / "README.md",
]


def without_code(page: Path) -> str:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "`code`", text)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
        found.add(kept.replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        has_anchor = not anchor or there.suffix != ".md" or anchor in anchors(there)
        if not (there.exists() and has_anchor):
            broken.append(target)
    assert broken == []


def test_every_page_that_the_site_names_is_there() -> None:
    named = re.findall(r"[\w/-]+\.md", (REPOSITORY / "mkdocs.yml").read_text().split("nav:")[1])
    elsewhere = {"index.md", "changes.md", "contributing.md", "benchmarks.md"}
    pages = [name for name in named if name not in elsewhere and not name.startswith("reference/")]
    assert [name for name in pages if not (REPOSITORY / "docs" / name).is_file()] == []
