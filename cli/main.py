"""`featstore`: the group of all commands, and how errors become exit codes."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from featstore._version import __version__
from featstore.cli.completion import with_completion
from featstore.errors import FeatstoreError
from featstore.installation.layout import broken_links, links_advice

#: Heading -> command -> module that holds it.  Modules are imported when their command is called.
SECTIONS = {
    "From images to features": {
        "extract": "extract",
        "backbones": "backbones",
        "import": "import_",
        "export": "export",
        "pool": "pool",
        "corrupt": "corrupt",
    },
    "From features to numbers": {
        "probe": "probe",
        "presets": "presets",
        "few-shot": "few_shot",
        "quantity": "quantity",
        "subset": "subset",
        "fusion": "fusion",
        "similarity": "similarity",
        "corruptions": "corruptions",
        "cross-domain": "cross_domain",
        "study": "study",
    },
    "What the numbers say": {
        "compare": "compare",
        "per-class": "per_class",
        "granularity": "granularity",
        "taxonomy": "taxonomy",
        "duplicates": "duplicates",
        "label-noise": "label_noise",
        "calibration": "calibration",
        "shift": "shift",
        "table": "table",
        "plot": "plot",
        "report": "report",
    },
    "New images": {"predict": "predict", "search": "search"},
    "Stores": {
        "info": "info",
        "ls": "ls",
        "verify": "verify",
        "diff": "diff",
        "merge": "merge",
        "compact": "compact",
        "rm": "rm",
    },
    "This machine": {"doctor": "doctor", "bench": "bench"},
}
COMMANDS = {name: module for section in SECTIONS.values() for name, module in section.items()}
#: Of one line about a command; longer sentences are folded.
_LINE = 200
#: Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130
#: Seconds that threads have after Ctrl-C to end what they are at, such as a flush.
_GRACE = 15


class Commands(click.Group):
    """Lists commands in the order of use, loads them late, and shows errors as one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by what they are for, each with its whole sentence."""
        width = max(map(len, COMMANDS))
        for heading, names in SECTIONS.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            lines = [
                (name.ljust(width), command.get_short_help_str(_LINE))
                for name, command in commands.items()
                if command is not None
            ]
            with formatter.section(heading):
                formatter.write_dl(lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"featstore.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return with_completion(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest."""
        from featstore.suggest import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what featstore raises on purpose becomes a message and exit code 2."""
        try:
            return super().invoke(ctx)
        except FeatstoreError as error:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
            ctx.exit(2)
        except (OSError, MemoryError) as error:
            what = str(error) or "out of memory"
            click.echo(f"{click.style('error:', fg='red', bold=True)} {what}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo(
                "\ninterrupted; what was committed is kept. Run the same command again to go on.",
                err=True,
            )
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="featstore %(version)s")
def group() -> None:
    """Extract frozen visual features once; probe, fuse, compare and analyse them for ever after.

    \b
    featstore extract IMAGES --backbone torchvision/resnet50 --out birds.zarr
    featstore probe birds.zarr --features resnet50
    featstore report birds.zarr --out birds.html
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    _check_links()
    # OpenMP's threads spin while they wait for each other.  Where other work shares the cores, that
    # can cost many times the work itself; waiting passively costs next to nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not sys.warnoptions:
        # Notes for developers of the libraries beneath, not for people at a terminal.
        warnings.simplefilter("ignore", category=DeprecationWarning)
        warnings.simplefilter("ignore", category=FutureWarning)
    # The system takes everything back anyway; with torch, to look for garbage first takes 0.4 s.
    atexit.register(gc.freeze)
    try:
        group.main(args=None if arguments is None else list(arguments), prog_name="featstore")
    except SystemExit as ending:
        if ending.code == INTERRUPTED:
            _end_soon()
        raise


def _end_soon() -> None:
    """End the process when the grace is over, whatever its threads wait for.

    The interpreter would wait for all of them, such as one that reads from a server that is gone.
    What is committed by then is kept: stores survive being killed at any moment.
    """
    timer = threading.Timer(_GRACE, os._exit, [INTERRUPTED])
    timer.daemon = True
    timer.start()


def _check_links() -> None:
    """Stop where a checkout without symlinks (Git on Windows) holds text files in their place."""
    package = Path(__file__).resolve().parent.parent / "featstore"
    broken = broken_links(package)
    if broken:
        sys.exit(f"featstore: {links_advice(package, broken)}")
