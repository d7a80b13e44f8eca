"""Card of a run: its metrics with intervals, what was chosen on which rows, and the certificate."""

from __future__ import annotations

from markupsafe import Markup

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, facts, fold, frame_table, plain, table
from featstore.numerals import percent, plural, span
from featstore.run import ProbeRun


def headline(run: ProbeRun) -> str:
    """Say the first metric, its interval and the rows it was measured on."""
    first = run.metrics.iloc[0]
    return (
        f"{first['metric']} {percent(first['value'])} ({span(first['low'], first['high'])}) on "
        f"{plural(run.config.n_test, 'row')}"
    )


def card(run: ProbeRun) -> Card:
    """Show a run."""
    config = run.config
    names = zip(config.features, config.dims, strict=True)
    known: dict[str, Cell] = {
        "target": f"{config.target}, {plural(run.predictions.n_classes, 'class')}",
        "features": " + ".join(f"{name} ({dim})" for name, dim in names),
        "scaling": config.scaling if config.scaling != "none" else "",
        "probe": config.probe_label,
        "preset": config.preset if config.preset != config.probe else "",
        config.parameter or "value": f"{config.value:g}, {config.how_chosen}",
        "trained on": f"{config.train_split}, {plural(config.n_train, 'row')}"
        + (f", subset {config.train_subset}" if config.train_subset else ""),
        "reported on": f"{config.tested_on}, {plural(config.n_test, 'row')}",
        "solution": _certified(run),
    }
    parts = [_metrics(run)]
    if len(run.selection) > 1:
        parts.append(
            fold(
                f"{len(run.selection)} values of {config.parameter} were tried",
                frame_table(run.selection, limit=len(run.selection)),
            )
        )
    for title, pairs in (("certificate", run.certificate), ("made with", run.provenance)):
        if pairs:
            parts.append(fold(title, facts({key: plain(value) for key, value in pairs.items()})))
    return Card(
        kind="ProbeRun",
        name=run.name,
        headline=headline(run),
        warnings=_warnings(run),
        facts=known,
        parts=parts,
    )


def _metrics(run: ProbeRun) -> Markup:
    rows: list[list[Cell]] = [
        [str(name), percent(value), span(low, high), int(n)]
        for name, value, low, high, n in zip(
            *(run.metrics[key] for key in ("metric", "value", "low", "high", "n")), strict=True
        )
    ]
    return table(["metric", "value", "95 % interval", "rows"], rows)


def _certified(run: ProbeRun) -> str:
    """Say how far from the optimum the weights are, where the probe can prove it."""
    certificate = run.certificate
    if "relative_gap" in certificate:
        return f"within {certificate['relative_gap']:.0e} of the optimum, relative; proven"
    if "gap_bound" in certificate:
        return f"at most {certificate['gap_bound']:.0e} above the optimum; proven"
    return ""


def _warnings(run: ProbeRun) -> list[str]:
    config, found = run.config, []
    if config.selected_on_test:
        found.append(
            f"{config.parameter} was chosen on the rows that are reported: the number is optimistic"
        )
    if config.shared_groups:
        found.append(
            f"{plural(config.shared_groups, 'group')} of {config.groups} in training and test: the "
            "number is optimistic"
        )
    if run.certificate.get("converged") is False:
        found.append("the solver did not reach its tolerance")
    if run.at_edge:
        found.append(
            f"{config.parameter} = {config.value:g} is at the edge of the values that were tried; "
            "a better one may lie beyond"
        )
    if config.nonlinear:
        found.append("the probe is not linear: this is no linear evaluation")
    return found
