"""Reference: pages made from what the packages export and from the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from messages import messages  # beside this file
from mkdocs.structure.files import File, Files

#: Page -> module whose `__all__` is shown, title, and what is said first.
MODULES = {
    "featstore": (
        "featstore",
        "Python",
        "Everything here is `fs.NAME` after `import featstore as fs`. Names are imported when they "
        "are first used.",
    ),
    "probes": (
        "featstore.probes",
        "Probes",
        "scikit-learn estimators over arrays; [which one](../probes.md).",
    ),
    "backbones": (
        "featstore.backbones",
        "Backbones",
        "Frozen networks from a line of text; [what can be written](../backbones.md).",
    ),
    "plots": (
        "featstore.plots",
        "Plots",
        "Frames in, matplotlib axes out: on the axes that are given, or on a new figure. "
        "`fs.plots.to_svg(ax.figure)` gives text to embed in a page.",
    ),
}
#: Page -> modules that are shown whole.
WHOLE = {
    "errors": (
        "Errors",
        "Each is also the builtin that a caller who knows nothing of featstore would catch. "
        "[Messages, and what to do](../errors.md).",
        ("featstore.errors",),
    ),
}
#: Modules that are no commands and no errors, but of use by themselves.
_ANALYSES = "featstore/analysis"


def on_files(files: Files, config: Any) -> Files:
    """Add the pages."""
    root = Path(config.config_file_path).parent
    pages = {
        name: _exported(root, module, title, intro)
        for name, (module, title, intro) in MODULES.items()
    }
    pages |= {name: _whole(*page) for name, page in WHOLE.items()}
    modules = [f"featstore.analysis.{path.stem}" for path in _modules(root / _ANALYSES)]
    pages["analysis"] = _whole(
        "Analyses",
        "Functions and results over stored predictions: frames in, frames out. "
        "`fs.compare`, `run.per_class()` and others call them.",
        modules,
    )
    pages["commands"] = commands()
    pages["messages"] = _all_messages(root)
    for name, text in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def commands() -> str:
    """Every command with its help, arguments and options, as Markdown."""
    from featstore.cli.main import group

    top = click.Context(group, info_name="featstore", max_content_width=100)
    parts = [
        "# Every command and option\n",
        "What `--help` says, on one page; [commands](../commands.md) says what belongs together.\n",
    ]
    parts += _members(top, level=2)
    return "\n".join(parts)


def _members(ctx: click.Context, *, level: int) -> list[str]:
    """Describe the commands of a group, and those of groups among them."""
    group = ctx.command
    assert isinstance(group, click.Group)
    parts = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=ctx)
        path = inner.command_path.removeprefix("featstore ")
        usage = " ".join(command.collect_usage_pieces(inner))
        parts += [f"{'#' * level} {path}\n", f"{_prose(command.help or '')}\n"]
        parts.append(f"```sh\nfeatstore {path} {usage}\n```\n")
        rows = [
            record
            for parameter in command.get_params(inner)
            if (record := parameter.get_help_record(inner)) is not None and record[1]
        ]
        parts.append("| option | |\n|---|---|")
        parts += [f"| `{left}` | {_text(right)} |" for left, right in rows]
        parts.append("")
        if isinstance(command, click.Group):
            parts += _members(inner, level=level + 1)
    return parts


def _all_messages(root: Path) -> str:
    """Every message that the code raises on purpose, by type."""
    found = messages(root)
    parts = [
        "# All messages\n",
        f"{len(found)} messages, read off the code; `…` stands for a value. [Those that people "
        "meet first](../errors.md) have a page with more words.\n",
    ]
    for error in dict.fromkeys(message.error for message in found):
        parts.append(f"## {error}\n")
        parts += [
            "- " + _text(" ".join(message.text.split()))
            for message in found
            if message.error == error
        ]
        parts.append("")
    return "\n".join(parts)


def _exported(root: Path, module: str, title: str, intro: str) -> str:
    """Make a page of a module's public names, functions before types."""
    folder = root / module.replace(".", "/")
    names = _public_names(folder / "__init__.py")
    functions = [name for name in names if name[0].islower()]
    types = [name for name in names if name[0].isupper()]
    parts = [f"# {title}\n", f"{intro}\n"]
    for heading, chosen in (("Functions", functions), ("Types", types)):
        if chosen:
            parts.append(f"## {heading}\n")
            parts += [f"::: {_place(folder, module, name)}\n" for name in chosen]
    return "\n".join(parts)


def _whole(title: str, intro: str, modules: Sequence[str]) -> str:
    options = "    options:\n      heading_level: 2\n      show_root_full_path: true\n"
    shown = "\n".join(f"::: {module}\n{options}" for module in modules)
    return f"# {title}\n\n{intro}\n\n{shown}"


def _place(folder: Path, module: str, name: str) -> str:
    """Where a public name is: behind the module of the same name, if there is one."""
    return f"{module}.{name}.{name}" if (folder / f"{name}.py").exists() else f"{module}.{name}"


def _public_names(path: Path) -> list[str]:
    """Read `__all__` without importing; modules among the names have pages of their own."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            found = [str(name) for name in ast.literal_eval(node.value)]
            return [name for name in found if name != "plots" and not name.startswith("__")]
    raise ValueError(f"{path} has no __all__")


def _modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _prose(text: str) -> str:
    r"""Click's help as Markdown: what follows a line of \b is shown as it is."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in paragraph.splitlines()]
        if lines and lines[0] == "\b":
            parts.append("\n".join(["```sh", *lines[1:], "```"]))
        else:
            parts.append(_text(" ".join(lines)))
    return "\n\n".join(parts)


def _text(text: str) -> str:
    """Text in which nothing is markup but what stands in backquotes."""
    pieces = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(
        piece if piece.startswith("`") else re.sub(r"([\\*_<>\[\]|])", r"\\\1", piece)
        for piece in pieces
    )
