"""Completion: what a shell offers behind TAB, from the store that the line names.

click makes the scripts for bash, zsh and fish, and completes commands and options by itself.  Here
are values: names of features, runs, subsets and taxonomies.  They are read off the folders of a
store on this machine, as docs/format.md has them, so that TAB answers without loading anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

#: Option -> folder of the store whose members it names.
_FOLDERS = {
    "--features": "features",
    "--feature": "features",
    "--fuse": "features",
    "--test-feature": "features",
    "--run": "runs",
    "--against": "runs",
    "--subset": "subsets",
    "--taxonomy": "taxonomies",
}
#: Argument -> folders of the store.
_ARGUMENTS = {"runs": ("runs",), "names": ("features", "runs", "subsets", "taxonomies")}
_FILES = ("images", "source", "features")


def with_completion(command: click.Command) -> click.Command:
    """Let a command's parameters complete their values, wherever their names say what they are."""
    for parameter in command.params:
        complete = _completion(parameter)
        if complete is not None:
            # A parameter's own method, replaced for this one.
            setattr(parameter, "shell_complete", complete)  # noqa: B010 - mypy forbids assigning
    return command


def _completion(
    parameter: click.Parameter,
) -> Callable[[click.Context, str], list[CompletionItem]] | None:
    name = max(parameter.opts, key=len)
    if isinstance(parameter, click.Argument):
        if name in ("store", "stores"):
            return partial(_path, "dir")
        if name in _ARGUMENTS:
            return partial(_members, _ARGUMENTS[name])
        return partial(_path, "file") if name in _FILES else None
    if getattr(parameter, "is_flag", False) or isinstance(parameter.type, click.Choice):
        return None
    if name in _FOLDERS:
        return partial(_members, (_FOLDERS[name],))
    return {"--preset": _presets, "--probe": _probes}.get(name)


def _path(kind: str, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Leave paths to the shell."""
    return [CompletionItem(incomplete, type=kind)]


def _members(folders: tuple[str, ...], ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Names in a store; behind a comma, the next name."""
    stores = ctx.params.get("store") or ctx.params.get("stores") or ()
    stores = (stores,) if isinstance(stores, str) else stores
    names = {
        member.parent.name
        # An option that still lacks its value leaves the arguments where they were found.
        for store in (*stores, *ctx.args)
        for folder in folders
        for member in Path(store).expanduser().glob(f"{folder}/*/zarr.json")
    }
    before, comma, begun = incomplete.rpartition(",")
    return _items(sorted(names - set(before.split(","))), begun, prefix=before + comma)


def _presets(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from featstore.presets import PRESETS

    return _items(PRESETS, incomplete)


def _probes(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from featstore.registry import probes

    return _items(probes(), incomplete)


def _items(names: Iterable[str], begun: str, *, prefix: str = "") -> list[CompletionItem]:
    return [CompletionItem(prefix + name) for name in names if name.startswith(begun)]
