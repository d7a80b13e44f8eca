"""`featstore probe`: features to a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from featstore.cli.arguments import store_argument
from featstore.cli.output import (
    echo_json,
    echo_note,
    echo_table,
    json_option,
    records,
    with_interval,
)
from featstore.errors import InvalidInputError
from featstore.registry import PROBES

#: Ratio of scales from which on the smaller of two fused blocks hardly counts.
_DROWNING = 5


@click.command()
@store_argument
@click.option("--features", "-f", help="One feature; every feature in turn by default.")
@click.option("--fuse", help="Several features to concatenate in this order: a,b[,c…].")
@click.option(
    "--probe", help=f"One of {', '.join(PROBES)}, or a plugin's name. [default: logistic]"
)
@click.option("--preset", help="A published protocol; `featstore presets` lists them.")
@click.option(
    "--value",
    "-C",
    type=float,
    help="Take this C (logistic), k (knn), … and choose nothing.",
)
@click.option("--target", help="Label column [default: the first].")
@click.option(
    "--scaling",
    type=click.Choice(["none", "l2", "standardise"]),
    default="none",
    show_default=True,
    help="Of each block, learned on training rows only.",
)
@click.option("--train", default="train", show_default=True, help="Split to train on.")
@click.option("--val", help="Split to choose C, k, … on [default: val, else a share of train].")
@click.option("--test", help="Split to report on [default: test, else val].")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the draws."
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or auto.")
@click.option(
    "--engine",
    type=click.Choice(["torch", "faiss", "faiss-ivf", "faiss-hnsw"]),
    default="torch",
    show_default=True,
    help="What searches neighbours.",
)
@click.option("--name", help="Name of the run [default: from the configuration].")
@json_option
def command(
    store: str, features: str | None, fuse: str | None, as_json: bool, **options: Any
) -> None:
    """Fit a probe on stored features, evaluate it, and store its predictions.

    The probe's hyper-parameter (C, k, …) is chosen on validation rows, never on the reported
    ones; the probe is then fitted again on training and validation rows together. Intervals are
    95 % bootstrap intervals over the test rows.

    \b
    featstore probe birds.zarr --features resnet50
    featstore probe birds.zarr --fuse resnet50,dinov2 --scaling standardise
    featstore probe birds.zarr --features dinov2 --preset dinov2-knn
    """
    from featstore.evaluate import probe
    from featstore.scaling import block_scales
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    sealed = [name for name in opened.features if opened.feature(name).sealed]
    choices = _choices(sealed, features, fuse)
    if options["name"] and len(choices) > 1:
        raise InvalidInputError(
            f"one --name for {len(choices)} runs; choose a feature with --features or --fuse"
        )
    runs = [probe(opened, names, **options) for names in choices]
    if as_json:
        documents = [
            {
                "name": run.name,
                "config": vars(run.config),
                "metrics": records(run.metrics),
                "certificate": run.certificate,
                "selected_on_test": run.config.selected_on_test,
                "classes_without_training_rows": _unseen(run),
            }
            for run in runs
        ]
        echo_json(documents[0] if len(documents) == 1 else documents)
        return
    for run in runs:
        _show(run)
        if len(run.config.features) > 1 and run.config.scaling == "none":
            _note_scales(block_scales(opened.view(run.config.features, split="train")))


def _choices(known: list[str], features: str | None, fuse: str | None) -> list[list[str]]:
    if features and fuse:
        raise InvalidInputError("give --features or --fuse, not both")
    if fuse:
        return [[name.strip() for name in fuse.split(",") if name.strip()]]
    if features:
        return [[features]]
    if not known:
        raise InvalidInputError(
            "the store has no complete features yet; run `featstore extract` first"
        )
    return [[name] for name in known]


def _note_scales(scales: dict[str, float]) -> None:
    """Say when one block drowns the other."""
    ratio = max(scales.values()) / max(min(scales.values()), 1e-12)
    if ratio > _DROWNING:
        shown = ", ".join(f"{name} {scale:.2g}" for name, scale in scales.items())
        echo_note(
            f"the blocks differ {ratio:.0f}-fold in scale ({shown}): the larger one decides; "
            "consider --scaling l2 or standardise"
        )


def _unseen(run: Any) -> list[str]:
    predictions = run.predictions
    return [
        name for name, seen in zip(predictions.classes, predictions.seen, strict=True) if not seen
    ]


def _show(run: Any) -> None:
    config = run.config
    metrics = with_interval(run.metrics)
    echo_table(
        metrics[["metric", "value", "95 % interval", "n"]], title=run.name, percent=["value"]
    )
    click.echo(
        f"{' + '.join(config.features)} ({config.dim} dimensions) → {config.target}; "
        f"{config.probe_label}, {config.parameter} = {config.value:g} ({_how_chosen(config)}); "
        f"{config.n_train} rows trained on, {config.n_test} tested on"
    )
    if run.certificate:
        click.echo(_in_words(run.certificate))
    if config.nonlinear:
        echo_note(f"{config.probe} is a non-linear probe: the number is no linear evaluation")
    if config.selected_on_test:
        echo_note(f"{config.parameter} was selected on the reported rows: the number is optimistic")
    if run.at_edge:
        values = run.selection["value"]
        echo_note(
            f"the best {config.parameter} is at the edge of the values tried "
            f"({values.min():g} … {values.max():g})"
        )
    unseen = _unseen(run)
    if unseen:
        echo_note(
            f"{len(unseen)} classes have no training row and are never predicted: "
            f"{', '.join(unseen[:5])}{', …' if len(unseen) > 5 else ''}"
        )


def _in_words(certificate: Mapping[str, Any]) -> str:
    """Say what is known about an iterative solver, a training, a search or a closed form."""
    if "converged" in certificate:
        state = "converged" if certificate["converged"] else "NOT CONVERGED"
        return (
            f"{state}: gradient norm {certificate['gradient_norm']:.2g}, objective "
            f"{certificate['objective']:.6g}, at most {certificate['gap_bound']:.2g} above the "
            "optimum"
        )
    if "epochs" in certificate:
        width = f"{certificate['width']} hidden units, " if "width" in certificate else ""
        return (
            f"{width}{certificate['epochs']} epochs at learning rate {certificate['lr']:g} and "
            f"weight decay {certificate['weight_decay']:g}: training loss "
            f"{certificate['loss']:.4g}, training accuracy {certificate['accuracy']:.1%}"
        )
    if "recall" in certificate:
        return _search_in_words(certificate)
    dof = certificate.get("effective_dof")
    return ", ".join(
        [
            f"closed form: condition number {certificate['condition_number']:.2g}",
            f"rank {certificate['rank']}",
            *([] if dof is None else [f"{dof:.1f} effective degrees of freedom"]),
            f"residual {certificate['residual']:.1g}",
        ]
    )


def _search_in_words(certificate: Mapping[str, Any]) -> str:
    score, queries = certificate["leave_one_out"], certificate["recall_queries"]
    return ", ".join(
        [
            f"searched by {certificate['engine']}",
            f"{certificate['recall']:.2%} of the true neighbours found ({queries} training rows)"
            if queries
            else "exact",
            f"temperature {certificate['temperature']:g}",
            *([] if score is None else [f"leave-one-out score {score:.1%}"]),
        ]
    )


def _how_chosen(config: Any) -> str:
    return "fixed" if config.selected_on == "fixed" else f"chosen on {config.selected_on}"
