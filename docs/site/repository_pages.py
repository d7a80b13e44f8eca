"""Pages that lie outside docs/, and links between them that also work where the files lie."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: File of the repository -> page of the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
#: Source that a link names -> page of the site that is made from it.
MADE_FROM = {
    "featstore/errors.py": "reference/errors.md",
    "docs/site/messages.py": "reference/messages.md",
}
_ORIGINS = {page: origin for origin, page in PAGES.items()}
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s]*)(?P<rest>[^)]*)(?=\))")
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    for origin, page in PAGES.items():
        files.append(File.generated(config, page, content=(root / origin).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Turn links between files of the repository into links between pages.

    A file that is no page, such as a script, is copied beside them.
    """
    here = page.file.src_uri
    if here.startswith("reference/"):
        return markdown
    root = Path(config.config_file_path).parent
    folder = posixpath.dirname(_ORIGINS.get(here, f"docs/{here}"))

    def moved(link: re.Match[str]) -> str:
        path = link["path"]
        if not path or "://" in path or path.startswith("mailto:"):
            return link[0]
        target = posixpath.normpath(posixpath.join(folder, path))
        uri = {**PAGES, **MADE_FROM}.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(uri) is None:
            uri = f"files/{target}"
            if not (root / target).is_file():
                raise PluginError(f"{here} links to {path}, which is no file of the repository")
            if files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(root / target)))
        return posixpath.relpath(uri, posixpath.dirname(here)) + link["rest"]

    pieces, end = [], 0
    for code in _CODE.finditer(markdown):
        pieces += [_LINK.sub(moved, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, _LINK.sub(moved, markdown[end:])])
