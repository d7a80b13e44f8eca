"""Model card: what is known about a run, in the layout of Hugging Face's model cards.

Everything comes from what the store keeps: the run, its features' specs, the samples, the history.
What a store cannot know (licences, purpose, consent) is said to be missing, not made up.  A card is
made to be published: of paths on this machine it has the last part only.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from featstore.html_report.provenance import Provenance, provenance
from featstore.new_file import new_file
from featstore.run import ProbeRun
from featstore.run_exports.card_header import header
from featstore.run_exports.card_limits import limits
from featstore.run_exports.card_tables import (
    classes_table,
    features_table,
    metrics_table,
    pairs_table,
    splits_table,
)
from featstore.run_exports.model import RunModel
from featstore.run_exports.published import published, published_command
from featstore.store import FeatureStore
from featstore.typeset.markdown import escaped

_UNKNOWN = "Not recorded in the store: say it here."
#: Classes that are named; a card is to be read.
_CLASSES = 50


def write(model: RunModel, path: Path) -> None:
    """Write the card of a run as Markdown."""
    text = model_card(model.store, model.run)
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def model_card(store: FeatureStore | str | Path, run: ProbeRun | str) -> str:
    """Return the model card of a run, as Markdown with a YAML header.

    Parameters
    ----------
    store
        The store, or its path.
    run
        A stored run, or its name.

    Raises
    ------
    FeatureNotFoundError
        If there is no such run.
    """
    if not isinstance(store, FeatureStore):
        store = FeatureStore.open(store)
    if not isinstance(run, ProbeRun):
        run = store.run(run)
    known = provenance(store, [run])
    sections = [
        header(store, run),
        f"# {run.name}",
        _summary(run),
        "## Model details",
        features_table(known),
        _fusion(run),
        "## Uses",
        f"Intended use: {_UNKNOWN}",
        "## Bias, risks and limitations",
        limits(store, run),
        f"Licences of the images and of the weights: {_UNKNOWN}",
        "## How to get started",
        _block(
            [
                f"featstore predict {shlex.quote(published(store.location))} IMAGES "
                f"--run {run.name} --out predictions.csv"
            ],
            "sh",
        ),
        _weights(run),
        "## Training",
        splits_table(store, run),
        _data(store, run),
        pairs_table(_training(run)),
        "## Evaluation",
        _evaluated_on(run),
        metrics_table(run),
        "### Weakest classes",
        classes_table(run),
        "## To make it again",
        _block(list(map(published_command, known.commands)), "sh"),
        "## Where it was made",
        _machines(known),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(run: ProbeRun) -> str:
    config, predictions = run.config, run.predictions
    what = "labels" if predictions.multilabel else "classes"
    kind = "A non-linear probe" if config.nonlinear else "A probe"
    return (
        f"{kind} ({config.preset}, {config.parameter} = {config.value:g}) on frozen features of "
        f"{' + '.join(config.features)}, which tells apart {predictions.n_classes} {what} of "
        f"`{config.target}`. The backbones were not trained for it."
    )


def _fusion(run: ProbeRun) -> str:
    config = run.config
    scaling = {
        "none": "taken as they are",
        "l2": "with every block of every image brought to unit length",
        "standardise": "with every column brought to mean 0 and deviation 1 of the training rows",
    }.get(config.scaling, config.scaling)
    if len(config.features) == 1:
        return f"The probe takes {config.dim} values, {scaling}."
    return f"The features stand side by side, {config.dim} values, {scaling}."


def _weights(run: ProbeRun) -> str:
    scores = "each class's own" if run.predictions.multilabel else "of one class per image"
    said = (
        f"Probabilities are {scores}, as the probe gives them; whether they are frequencies is "
        "what `featstore calibration` measures."
    )
    if run.head is None:
        return f"{said} The probe keeps no weights: it is fitted again to the stored features."
    return said


def _data(store: FeatureStore, run: ProbeRun) -> str:
    source, classes = store.attributes["source"], run.predictions.classes
    place = source.get("table") or source.get("place") or source.get("root") or source.get("kind")
    named = ", ".join(map(escaped, classes[:_CLASSES])) + (", …" if len(classes) > _CLASSES else "")
    drawn = f" Test split: {source['split']}." if "split" in source else ""
    return (
        f"Images: `{published(str(place or 'not recorded'))}`, {store.n_samples} rows with digest "
        f"`{store.samples.digest}`.{drawn} Classes of `{run.config.target}`: {named}."
    )


def _training(run: ProbeRun) -> list[tuple[str, str]]:
    config = run.config
    tried = len(run.selection)
    subset = f", subset `{config.train_subset}`" if config.train_subset else ""
    lines = [
        ("probe", f"{config.probe_label}, preset `{config.preset}`"),
        ("rows", f"{config.n_train} of {config.train_split}{subset}"),
        (
            config.parameter,
            f"{config.value:g}, {config.how_chosen}" + (f", of {tried} values" if tried else ""),
        ),
        ("selection maximised", config.metric if config.selected_on != "fixed" else ""),
        ("groups kept together", config.groups or ""),
        ("thresholds chosen on", config.thresholds_on or ""),
        ("seed", str(config.seed)),
    ]
    lines += [
        (name.replace("_", " "), f"{value:.4g}" if isinstance(value, float) else str(value))
        for name, value in run.certificate.items()
        if value is not None
    ]
    return [(name, value) for name, value in lines if value]


def _evaluated_on(run: ProbeRun) -> str:
    config = run.config
    return (
        f"On {config.n_test} rows of {config.tested_on}; intervals are 95 % bootstrap intervals "
        "over these rows."
    )


def _machines(known: Provenance) -> str:
    parts = []
    for machine, what in known.machines:
        packages = ", ".join(
            f"{name} {version}" for name, version in (machine["packages"] or {}).items()
        )
        parts.append(
            f"- {what}: {machine['system']}, {machine['cores']} cores, Python "
            f"{machine['python']}; {packages}"
        )
    return "\n".join(parts)


def _block(lines: list[str], language: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"]) if lines else ""
