"""`featstore corruptions`: what corrupted images cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pandas as pd

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_table, json_option, records, write_figure
from featstore.cli.probe_options import (
    device_option,
    probe_options,
    scaling_option,
    seed_option,
    test_option,
    val_option,
)
from featstore.errors import InvalidInputError

if TYPE_CHECKING:
    from featstore.analysis.corruption_drop import CorruptionDrop
    from featstore.store import FeatureStore

_MEASURES = {
    "clean_error": "error on clean images",
    "mean_drop": "mean drop",
    "mean_error": "mean corruption error, not normalised",
    "mCE": "mCE, relative to the baseline",
    "relative_mCE": "relative mCE, relative to the baseline",
}


@click.command()
@store_argument
@click.option("--features", "-f", multiple=True, help="A feature of clean images; repeat it.")
@click.option("--only", multiple=True, help="A corruption, e.g. jpeg10 [default: all there are].")
@click.option("--baseline", help="A feature by whose errors the others' are divided (mCE).")
@click.option("--clean", help="Instead: a stored run, of a backbone trained on clean images,")
@click.option(
    "--corrupted",
    multiple=True,
    metavar="LABEL=RUN",
    help="against stored runs of the same test rows; repeat it.",
)
@probe_options
@scaling_option("Of each block, learned on clean training rows.")
@click.option("--train", default="train", show_default=True, help="Split to train on.")
@val_option
@test_option
@seed_option
@device_option
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the drop of every corruption: .svg, .pdf or .png.",
)
@json_option
def command(
    store: str,
    features: tuple[str, ...],
    clean: str | None,
    corrupted: tuple[str, ...],
    plot: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Report a probe of clean features on those of corrupted images of a STORE.

    The probe is fitted once, to clean training rows; drops are paired: all runs are resampled on
    the same test rows. With --clean and --corrupted, runs that are stored are compared, such as
    those of backbones that were pretrained on corrupted images.

    \b
    featstore extract birds/ -b torchvision/resnet50 --corrupt clean --corrupt paper -o birds.zarr
    featstore corruptions birds.zarr -f resnet50 --plot drop.svg
    featstore corruptions birds.zarr --clean RUN --corrupted jpeg10=RUN --corrupted resize=RUN
    """
    from featstore.corruption_evaluation import corruption_drop
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    if bool(features) == bool(clean) or bool(clean) != bool(corrupted):
        raise InvalidInputError(
            "say what to compare: --features, or --clean together with --corrupted"
        )
    if clean is not None:
        found = {clean: _of_runs(opened, clean, corrupted, seed=options["seed"])}
    else:
        options["only"] = options["only"] or None
        found = {name: corruption_drop(opened, name, **options) for name in features}
    if plot is not None:
        from featstore import plots

        write_figure(plot, plots.corruption_drop(found))
    if as_json:
        echo_json([_document(name, one) for name, one in found.items()])
        return
    for name, one in found.items():
        _show(name, one)


def _of_runs(
    store: FeatureStore, clean: str, corrupted: tuple[str, ...], *, seed: int
) -> CorruptionDrop:
    from featstore.analysis.corruption_drop import corruption_drop

    named = [text.partition("=") for text in corrupted]
    if wrong := [label for label, _, name in named if not name]:
        raise InvalidInputError(f"--corrupted is LABEL=RUN, such as jpeg10=RUN, got {wrong[0]!r}")
    runs = {label: store.run(name) for label, _, name in named}
    zero = store.run(clean)
    others = {run.config.target for run in runs.values()} - {zero.config.target}
    if others:
        raise InvalidInputError(
            f"{clean} predicts {zero.config.target!r}, others {', '.join(sorted(others))}; only "
            "runs of one target can be compared"
        )
    predictions = {label: run.predictions for label, run in runs.items()}
    return corruption_drop(zero.predictions, predictions, seed=seed)


def _document(name: str, found: CorruptionDrop) -> dict[str, Any]:
    frames = {key: records(getattr(found, key)) for key in ("drops", "errors", "summary")}
    return {
        "name": name,
        "metric": found.metric,
        "clean": found.clean,
        "rows": found.n,
        "level": found.level,
        **frames,
    }


def _show(name: str, found: CorruptionDrop) -> None:
    table = pd.DataFrame(
        {
            "corruption": found.drops["corruption"],
            found.metric: found.drops["value"],
            "drop, points": _points(found.drops, "drop"),
        }
    )
    echo_table(table, title=name, percent=[found.metric])
    click.echo(
        f"{found.metric} on clean images {found.clean:.2%}; {found.n} test rows; "
        f"{found.level:.0%} intervals, paired"
    )
    summary = pd.DataFrame(
        {
            "measure": found.summary["measure"].map(_MEASURES),
            "points": _points(found.summary, "value"),
        }
    )
    echo_table(summary)


def _points(frame: pd.DataFrame, name: str) -> list[str]:
    return [
        f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
        for value, low, high in zip(frame[name], frame["low"], frame["high"], strict=True)
    ]
