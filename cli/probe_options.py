"""Options of every command that fits probes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import click

from featstore.registry import PROBES

Command = TypeVar("Command", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--probe", help=f"One of {', '.join(PROBES)}, or a plugin's name. [default: logistic]"
    ),
    click.option("--preset", help="A published protocol; `featstore presets` lists them."),
    click.option("--value", "-C", type=float, help="Take this C, k, … and choose nothing."),
    click.option("--target", help="Label column [default: the first]."),
)

val_option = click.option(
    "--val", help="Split to choose C, k, … on [default: val, else a share of train]."
)
test_option = click.option("--test", help="Split to report on [default: test, else val].")
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draws."
)
device_option = click.option(
    "--device", default="cpu", show_default=True, help="cpu, cuda or auto."
)


def probe_options(command: Command) -> Command:
    """Add what says which probe is fitted to which labels."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def scaling_option(
    of: str, *, choices: Sequence[str] = ("none", "l2", "standardise")
) -> Callable[[Command], Command]:
    """Return the option that scales features; `of` says what each scale is learned from."""
    return click.option(
        "--scaling", type=click.Choice(choices), default="none", show_default=True, help=of
    )
