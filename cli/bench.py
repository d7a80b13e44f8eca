"""`featstore bench`: how fast, on your own features and your own machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import pandas as pd

from featstore.cli.arguments import store_argument
from featstore.cli.output import echo_json, echo_note, echo_table, json_option
from featstore.numerals import plural

if TYPE_CHECKING:
    from featstore.race import Arrival, Bench

_PROBES = ("logistic", "ridge", "lda", "knn", "svm")


@click.command()
@store_argument
@click.option("--features", "-f", help="One feature. [default: the first complete one]")
@click.option("--fuse", help="Several features to concatenate: a,b[,c…].")
@click.option(
    "--probe",
    "probes",
    multiple=True,
    type=click.Choice(_PROBES),
    help="Which to race; repeat it. [default: logistic]",
)
@click.option("--target", help="Label column [default: the first].")
@click.option(
    "--value", "-C", "C", type=float, default=1.0, show_default=True, help="C of logistic."
)
@click.option(
    "--rows",
    type=click.IntRange(min=2),
    default=2000,
    show_default=True,
    help="Training rows drawn at random, and as many test rows.",
)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Races.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=20,
    show_default=True,
    help="CPU seconds in all, an equal part for each probe.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of everybody."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the rows."
)
@json_option
def command(
    store: str,
    features: str | None,
    fuse: str | None,
    probes: tuple[str, ...],
    target: str | None,
    C: float,
    rows: int,
    repeats: int,
    budget: float,
    threads: int,
    seed: int,
    as_json: bool,
) -> None:
    """Race probes against scikit-learn on the features of a STORE, and time reading them.

    All run in turns, so that a busy machine is busy for everybody. Of logistic regression it says
    how many CPU seconds each solver needs until its objective is within 1e-3 and 1e-4 of the
    optimum, relative to it: scikit-learn is stopped from outside and need not guess a tolerance,
    featstore stops by itself. Nothing is written.

    \b
    featstore bench birds.zarr --features resnet50
    featstore bench birds.zarr --features resnet50 --probe knn --probe ridge --rows 20000
    """
    from featstore.cli.arguments import chosen_features
    from featstore.race import bench
    from featstore.store import FeatureStore

    opened = FeatureStore.open(store)
    names = chosen_features(opened, (features,) if features else (), (fuse,) if fuse else ())[0]
    found = bench(
        opened,
        names,
        probes=probes or ("logistic",),
        target=target,
        C=C,
        rows=rows,
        repeats=repeats,
        budget=budget,
        threads=threads,
        seed=seed,
    )
    if as_json:
        echo_json(asdict(found))
    else:
        _show(found)


def _show(found: Bench) -> None:
    echo_table(
        pd.DataFrame(
            {
                "operation": reading.operation,
                "MB/s at first": round(reading.first_mb_s),
                "MB/s then": round(reading.mb_s),
                "rows/s then": round(reading.rows_s),
            }
            for reading in found.readings
        ),
        title=f"reading {' + '.join(found.features)}",
    )
    what = f"{found.n_train} × {found.dim}, {found.n_classes} classes, " + plural(
        found.threads, "thread"
    )
    if found.arrivals:
        frame = pd.DataFrame(
            {"solver": solver}
            | {
                f"to {arrival.accuracy:g}": _arrived(arrival)
                for arrival in found.arrivals
                if arrival.solver == solver
            }
            for solver in dict.fromkeys(arrival.solver for arrival in found.arrivals)
        )
        echo_table(
            frame, title=f"logistic, C = {found.C:g}: CPU s, and how many times ours; {what}"
        )
        if not all(arrival.arrived for arrival in found.arrivals):
            echo_note(
                "what is behind > was stopped by the budget or by rounding at the accuracy in "
                "brackets; --budget gives more time"
            )
    if found.turns:
        frame = pd.DataFrame(
            {
                "probe": turn.probe,
                "CPU s": turn.cpu_s,
                "scikit-learn": turn.counterpart,
                "its CPU s": turn.counterpart_cpu_s,
                "ratio": f"{turn.ratio:.1f}×",
                "predicted alike": turn.agreement,
            }
            for turn in found.turns
        )
        echo_table(
            frame,
            title=f"fit, and predict {found.n_test} rows; {what}",
            percent=["predicted alike"],
        )


def _arrived(arrival: Arrival) -> str:
    if arrival.arrived:
        return f"{arrival.cpu_s:.2f}  {arrival.cpu_ratio:.1f}×"
    return f"> {arrival.cpu_s:.2f}  > {arrival.cpu_ratio:.1f}× (at {arrival.reached:.0e})"
