"""Messages: the text of every error that the code raises on purpose, read off its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: What stands for a value that is only known when the error is raised.
BLANK = "…"
_FOLDERS = ("featstore", "probes", "backbones", "cli")


@dataclass(frozen=True)
class Message:
    """A message as the source has it.

    Attributes
    ----------
    error
        Name of the class that is raised.
    text
        The message, values replaced by an ellipsis.
    """

    error: str
    text: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """What the message looks like with values in it."""
        return re.compile(".*?".join(map(re.escape, self.text.split(BLANK))), re.DOTALL)


def messages(root: Path) -> list[Message]:
    """Return the messages of all `raise SomeError("…")` in the packages, each once."""
    known = _errors(root / "featstore" / "errors.py")
    found: dict[Message, None] = {}
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            if path.is_symlink():
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                found |= dict.fromkeys(_raised(node, known))
    return sorted(found, key=lambda message: (message.error, message.text.lower()))


def _errors(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef)}


def _raised(node: ast.AST, known: set[str]) -> Iterator[Message]:
    # Also where an error is made in one place and raised in another.
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
        for argument in node.args[:1]:
            for text in _texts(argument):
                if text.strip(BLANK + " "):
                    yield Message(node.func.id, re.sub(f"{BLANK}{{2,}}", BLANK, text))


def _texts(node: ast.expr) -> list[str]:
    """Every text that an expression may be; a choice gives one for each side."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(_texts(part)[0] for part in node.values)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body) + _texts(node.orelse)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in _texts(node.left) for right in _texts(node.right)]
    return [BLANK]
