"""`featstore probe`: features to a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
from featstore.cli.probe_options import (
    device_option,
    probe_options,
    scaling_option,
    seed_option,
    test_option,
    val_option,
)
from featstore.errors import InvalidInputError, SharedGroupsWarning

if TYPE_CHECKING:
    from featstore.run_config import RunConfig
    from featstore.store import FeatureStore

#: Ratio of scales from which on the smaller of two fused blocks hardly counts.
_DROWNING = 5


@click.command()
@store_argument
@click.option("--features", "-f", help="One feature; every feature in turn by default.")
@click.option("--fuse", help="Several features to concatenate in this order: a,b[,c…].")
@probe_options
@scaling_option("Of each block, learned on training rows only.")
@click.option("--train", default="train", show_default=True, help="Split to train on.")
@click.option("--subset", "train_subset", help="Stored subset of that split to train on instead.")
@val_option
@test_option
@click.option(
    "--test-feature",
    "test_features",
    multiple=True,
    help="Feature to report on instead, of the same backbone: that of corrupted images; once for "
    "each feature of a fusion.",
)
@click.option(
    "--select",
    type=click.Choice(["val", "kfold", "nested"]),
    help="Choose on validation rows, on folds of train, or on folds within outer folds, which are "
    "then reported on [default: the preset's, mostly val].",
)
@click.option("--folds", type=int, help="Of kfold and nested [default: the preset's, mostly 5].")
@click.option(
    "--repeats", type=int, default=1, show_default=True, help="Draws of the share or the folds."
)
@click.option(
    "--rule",
    type=click.Choice(["best", "one-se"]),
    help="The best value, or the most regularised within one standard error [default: the "
    "preset's, mostly best].",
)
@click.option(
    "--search",
    type=click.Choice(["grid", "bisect", "halving"]),
    help="All values; more around the best; or ever fewer on ever more rows [default: the "
    "preset's, mostly grid].",
)
@click.option("--metric", help="What the choice maximises [default: the preset's: top1 or mAP].")
@click.option(
    "--groups",
    metavar="COLUMN",
    help="Label column (patient, site) whose classes stay on one side of every division.",
)
@click.option(
    "--thresholds/--no-thresholds",
    default=True,
    show_default=True,
    help="Also report F1 at thresholds chosen on validation rows (multi-label).",
)
@seed_option
@device_option
@click.option(
    "--engine",
    default="torch",
    show_default=True,
    help="What computes: torch; sklearn, cuml (logistic, ridge, svm); faiss, faiss-ivf, faiss-hnsw "
    "(knn).",
)
@click.option("--max-memory", help="What the probe may take, e.g. 2GB [default: its quickest way].")
@click.option("--name", help="Name of the run [default: from the configuration].")
@click.option(
    "--save/--no-save",
    default=True,
    show_default=True,
    help="Store the run; without, stores that cannot be written will do.",
)
@json_option
def command(
    store: str, features: str | None, fuse: str | None, as_json: bool, **options: Any
) -> None:
    """Fit a probe on stored features, evaluate it, and store its predictions.

    The probe's hyper-parameter (C, k, …) is chosen on validation rows or by cross-validation,
    never on the reported rows; the probe is then fitted again on training and validation rows
    together. Intervals are 95 % bootstrap intervals over the test rows.

    \b
    featstore probe birds.zarr --features resnet50
    featstore probe birds.zarr --fuse resnet50,dinov2 --scaling standardise
    featstore probe birds.zarr --features dinov2 --preset dinov2-knn
    featstore probe scans.zarr --features uni --select kfold --rule one-se --groups patient
    """
    from featstore.evaluate import probe
    from featstore.scaling import block_scales
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    choices = _choices(opened, features, fuse)
    if options["test_features"] and len(choices) > 1:
        raise InvalidInputError("--test-feature needs --features or --fuse: what to train on")
    if options["name"] and len(choices) > 1:
        raise InvalidInputError(
            f"one --name for {len(choices)} runs; choose a feature with --features or --fuse"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharedGroupsWarning)  # said below, from the run
        runs = [probe(opened, names, **options) for names in choices]
    if as_json:
        documents = [
            {
                "name": run.name,
                "config": vars(run.config),
                "metrics": records(run.metrics),
                "certificate": run.certificate,
                "selected_on_test": run.config.selected_on_test,
                "selection": records(run.selection),
                "fold_scores": records(run.fold_scores),
                "thresholds": _thresholds(run),
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


def _choices(store: FeatureStore, features: str | None, fuse: str | None) -> list[list[str]]:
    if features and fuse:
        raise InvalidInputError("give --features or --fuse, not both")
    if fuse:
        return [[name.strip() for name in fuse.split(",") if name.strip()]]
    if features:
        return [[features]]
    known = [name for name in store.features if store.feature(name).sealed]
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
        f"{config.probe_label}, {config.parameter} = {config.value:g} ({config.how_chosen}); "
        + (
            f"{config.n_test} rows, each predicted by a probe of the other {config.folds - 1} folds"
            if config.nested
            else f"{config.n_train} rows trained on{_of_subset(config)}, {config.n_test} tested on"
            + (f", as {' + '.join(config.test_features)}" if config.test_features else "")
        )
    )
    if config.nested and len(run.fold_scores):
        click.echo(
            f"the outer folds chose {config.parameter} = {_outer_choices(run)}; the stored head, "
            f"of all rows, has {config.value:g}"
        )
    if run.thresholds is not None:
        each, common = run.thresholds.per_class, run.thresholds.common
        click.echo(
            f"thresholds of the tuned F1, chosen on {config.thresholds_on}: {each.min():.2g} … "
            f"{each.max():.2g} by class, {common.mean():.2g} for all"
        )
    if run.certificate:
        click.echo(_in_words(run.certificate))
    if config.nonlinear:
        echo_note(f"{config.probe} is a non-linear probe: the number is no linear evaluation")
    if config.selected_on_test:
        echo_note(f"{config.parameter} was selected on the reported rows: the number is optimistic")
    if config.shared_groups:
        echo_note(
            f"{config.shared_groups} classes of {config.groups} have rows in training and in test: "
            "a result on new ones may be lower"
        )
    if run.at_edge:
        values = run.selection["value"]
        echo_note(
            f"the best {config.parameter} is at the edge of the values tried "
            f"({values.min():g} … {values.max():g}){_wider(config, values.min(), values.max())}"
        )
    unseen = _unseen(run)
    if unseen:
        echo_note(
            f"{len(unseen)} classes have no training row and are never predicted: "
            f"{', '.join(unseen[:5])}{', …' if len(unseen) > 5 else ''}"
        )


def _wider(config: RunConfig, least: float, most: float) -> str:
    """Name a preset of the same probe that tries values beyond the edge, if there is one."""
    from featstore.presets import PRESETS

    for preset in PRESETS.values():
        if preset.probe == config.probe and preset.values:
            low, high = min(preset.values), max(preset.values)
            if high > most if config.value == most else low < least:
                return f"; --preset {preset.name} tries {low:g} … {high:g}"
    return ""


def _of_subset(config: RunConfig) -> str:
    return "" if config.train_subset is None else f" (subset {config.train_subset})"


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


def _outer_choices(run: Any) -> str:
    """Say which values the outer folds chose, and how many of them each."""
    scores = run.fold_scores
    outer = scores[(scores["outer"] > 0) & scores["chosen"]].drop_duplicates(["outer", "value"])
    counts = outer["value"].value_counts().sort_index()
    return ", ".join(f"{value:g} ({count} of {len(outer)})" for value, count in counts.items())


def _thresholds(run: Any) -> dict[str, Any] | None:
    """Thresholds for a JSON document: a list for each outer fold of a nested run, or one."""
    if run.thresholds is None:
        return None
    return {
        "chosen_on": run.config.thresholds_on,
        "classes": run.predictions.classes,
        "per_class": run.thresholds.per_class.tolist(),
        "common": run.thresholds.common.tolist(),
    }
