"""Repeated: runs of a board that differ in seed or draw of training rows alone."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from featstore import plots
from featstore.analysis.seeds_and_draws import SeedsAndDraws, seeds_and_draws
from featstore.html_report.board import Board, Entry
from featstore.html_report.exhibit import Exhibit, Sheet, sheet
from featstore.html_report.figure import figure
from featstore.html_report.label import labels
from featstore.html_report.numbers import hundredths
from featstore.many_runs import settled
from featstore.metric_names import metric_name
from featstore.numerals import NONE, percent, plural, points, points_span, span
from featstore.run import ProbeRun

_NO_DEVIATION = 5e-7
"""Below this a standard deviation is rounding: equal scores."""


def repeated(board: Board, key: str) -> Exhibit | None:
    """Average the runs of each configuration, and say what they owe to seed and draw.

    Parameters
    ----------
    board
        The ranked runs.
    key
        The exhibit's anchor.

    Returns
    -------
    exhibit
        None where no two runs differ in their seed or in the stored subset they were trained on
        alone.
    """
    results, n_train, left_out = _results(board)
    if not results:
        return None
    means = pd.concat([one.features for one in results]).sort_values(
        "mean", ascending=False, kind="stable"
    )
    name = metric_name(board.metric)
    return Exhibit(
        key=key,
        heading="Seeds and draws",
        sentences=[*_sentences(means.iloc[0], results, n_train), *_left_out(left_out)],
        figures=[
            figure(
                plots.seeds_and_draws(results, metric=board.metric),
                key=f"{key}-runs",
                caption="Rings: runs that differ in seed or draw of the training rows alone; dots: "
                "their means, with 95 % intervals over other seeds and draws",
            )
        ],
        sheets=[_means(means, results, name), *_pairs(results)],
        note="Intervals say what another seed or draw of training rows would change, on these test "
        "rows; those of the leaderboard say what other test rows would. One seed and draw: where "
        "the difference of a single pair of runs lies. Components of variance of crossed factors; "
        f"{results[0].rule}.",
    )


def _results(board: Board) -> tuple[list[SeedsAndDraws], dict[str, int], list[str]]:
    """Take apart what has the same seeds and draws together.

    Returns
    -------
    results
        One for each protocol and set of seeds and draws; features are labels of configurations.
    n_train
        Training rows of each configuration.
    left_out
        Configurations with gaps.
    """
    groups: dict[Hashable, list[Entry]] = defaultdict(list)
    for entry in board.ranked:
        config = entry.run.config
        if not config.test_features:
            told = tuple(settled(config).items())
            groups[told, config.features, config.spec_digests].append(entry)
    several = {key: group for key, group in groups.items() if len(group) > 1}
    names = labels([_without_luck(group[0].run) for group in several.values()])
    tables: dict[Hashable, list[pd.DataFrame]] = defaultdict(list)
    left_out = []
    n_train = {
        name: group[0].run.config.n_train
        for name, group in zip(names, several.values(), strict=True)
    }
    for ((told, *_), group), name in zip(several.items(), names, strict=True):  # type: ignore[misc]
        frame = _scores(group, name, board.metric)
        crossed = frame["seed"].nunique() * frame["draw"].nunique()
        whole = crossed == len(frame) and not frame.duplicated(["seed", "draw"]).any()
        if not whole or frame["value"].isna().any():
            left_out.append(name)
            continue
        cells = frozenset(zip(frame["seed"], frame["draw"], strict=True))
        tables[told, cells].append(frame)
    results = [seeds_and_draws(pd.concat(frames)) for frames in tables.values()]
    return results, n_train, left_out


def _scores(group: Sequence[Entry], name: str, metric: str) -> pd.DataFrame:
    rows = [
        (name, run.config.seed, run.config.train_subset or "", run.metric(metric))
        for run in (entry.run for entry in group)
    ]
    frame = pd.DataFrame(rows, columns=["feature", "seed", "draw", "value"])
    return frame.sort_values(["seed", "draw"], ignore_index=True)


def _without_luck(run: ProbeRun) -> ProbeRun:
    """Return a run without what its seed and draw decide, to be labelled by the rest."""
    config = run.config
    value = config.value if config.selected_on == "fixed" else float("nan")
    settled_config = dataclasses.replace(config, seed=0, train_subset=None, value=value)
    return dataclasses.replace(run, config=settled_config)


def _sentences(
    best: pd.Series, results: Sequence[SeedsAndDraws], n_train: Mapping[str, int]
) -> list[str]:
    name = best["feature"]
    found = next(one for one in results if name in set(one.features["feature"]))
    values = found.scores.loc[found.scores["feature"] == name, "value"]
    told = (
        f"Over {_times(found)} of {plural(n_train[name], 'training row')}, {name} has "
        f"{percent(best['mean'])} on average ({span(best['low'], best['high'])}); single runs have "
        f"{span(values.min(), values.max())} %."
    )
    pairs = _against(found, name)
    if pairs.empty:
        return [told]
    nearest, n = pairs.iloc[0], len(pairs)
    apart = int((pairs["verdict"] == "better").sum())
    lead = f"{points(nearest['difference'])} points over {nearest['other']}"
    noise = "seeds and draws account for"
    if n == 1:
        return [told, f"Its lead, {lead}, is {'more than' if apart else 'within what'} {noise}."]
    some = f"{apart or 'None'} of its {n} leads {'is' if apart < 2 else 'are'}"
    return [told, f"{some} more than {noise}; the least is {lead}."]


def _left_out(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = "; ".join(names[:3]) + ("; …" if len(names) > 3 else "")
    return [
        f"Left out, because not every seed has one run with every draw: {shown}.",
    ]


def _times(found: SeedsAndDraws) -> str:
    counts = ((found.n_seeds, "seed"), (found.n_draws, "draw"))
    return " × ".join(plural(n, noun) for n, noun in counts if n > 1)


def _means(means: pd.DataFrame, results: Sequence[SeedsAndDraws], metric: str) -> Sheet:
    found = {name: one for one in results for name in one.features["feature"]}
    deviations = {
        (row["feature"], row["component"]): float(row["sd"])
        for one in results
        for row in one.components.to_dict("records")
    }
    columns = {"seed": "by seed", "draw": "by draw", "residual": "left"}
    rows = []
    for row in means.to_dict("records"):
        name = row["feature"]
        one = found[name]
        values = one.scores.loc[one.scores["feature"] == name, "value"]
        told = {
            "runs of": name,
            "number": _times(one),
            f"{metric}, mean %": f"{hundredths(row['mean'])} ({span(row['low'], row['high'])})",
            "lowest–highest %": span(values.min(), values.max()),
        }
        for component, heading in columns.items():
            sd = deviations.get((name, component))
            told[f"{heading}, sd in points"] = NONE if sd is None else _deviation(sd)
        rows.append(told)
    table = pd.DataFrame(rows)
    empty = [name for name in table if (table[name] == NONE).all()]
    title = "Means"
    if table["number"].nunique() == 1:
        title = f"Means over {table['number'].iloc[0]}"
        empty.append("number")
    return sheet(title, table.drop(columns=empty), text=["runs of", "number"])


def _deviation(sd: float) -> str:
    return "0" if sd < _NO_DEVIATION else f"{100 * sd:.2f}"


def _pairs(results: Sequence[SeedsAndDraws]) -> list[Sheet]:
    """Compare the best of each set of seeds and draws with the others of it."""
    frames = []
    for one in results:
        best = str(one.features["feature"].iloc[int(one.features["mean"].argmax())])
        frames.append(_against(one, best).assign(best=best))
    pairs = pd.concat(frames)
    if pairs.empty:
        return []
    table = pd.DataFrame(
        {
            "highest": pairs["best"],
            "against": pairs["other"],
            "difference, points": _bounded(pairs, "low", "high"),
            "one seed and draw": [
                points_span(low, high)
                for low, high in pairs[["one_low", "one_high"]].to_numpy(float).tolist()
            ],
            "verdict": pairs["verdict"],
        }
    )
    return [sheet("Pairs", table, text=["highest", "against", "verdict"])]


def _against(found: SeedsAndDraws, best: str) -> pd.DataFrame:
    """Return the pairs of one with the others, differences being its lead."""
    pairs = found.pairs
    first = pairs[pairs["a"] == best]
    turned = first.assign(
        difference=-first["difference"],
        low=-first["high"],
        high=-first["low"],
        one_low=-first["one_high"],
        one_high=-first["one_low"],
        other=first["b"],
        won=first["verdict"] == "a is better",
    )
    second = pairs[pairs["b"] == best]
    second = second.assign(other=second["a"], won=second["verdict"] == "b is better")
    both = pd.concat([turned, second]).sort_values("difference", kind="stable")
    verdict = both["won"].map({True: "better", False: "within the noise"})
    return both.assign(verdict=verdict)


def _bounded(frame: pd.DataFrame, low: str, high: str) -> list[str]:
    return [
        f"{points(value)} ({points_span(least, most)})"
        for value, least, most in frame[["difference", low, high]].to_numpy(float).tolist()
    ]
