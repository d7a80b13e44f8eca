"""Card of a feature: what it is made of, how much there is, and how it was made."""

from __future__ import annotations

import dataclasses

from featstore.cards.card import Card
from featstore.cards.fragment import Cell, facts, fold, plain, shortened, table
from featstore.feature import FeatureInfo
from featstore.numerals import plural, size
from featstore.transform import Transform

SHOWN_EXCLUDED = 20


def headline(info: FeatureInfo) -> str:
    """Say its name, shape and state."""
    size = f"{info.layout.rows:,} × {info.spec.backbone.dim} {info.spec.dtype}"
    state = "complete" if info.sealed else f"unfinished: {info.committed_rows:,} rows are committed"
    return f"{info.name} {size}, {state}"


def card(info: FeatureInfo) -> Card:
    """Show a feature."""
    spec, backbone = info.spec, info.spec.backbone
    warnings = []
    if not info.sealed:
        warnings.append(
            f"{info.committed_rows:,} of {info.layout.rows:,} rows are committed; run the same "
            "extraction again to complete it"
        )
    known: dict[str, Cell] = {
        "backbone": backbone.architecture,
        "weights": backbone.weights,
        "pretrained on": ", ".join(backbone.pretrained_on),
        "layer": backbone.layer,
        "pooling": backbone.pooling,
        "tokens": backbone.n_tokens,
        "corruption": spec.corruption.label if spec.corruption else "",
        "pixels": _pixels(spec.transform),
        "forward pass": spec.numerics or "unknown",
        "size": f"{size(info.nbytes)} in {plural(info.layout.n_shards, 'shard')}",
        "spec": shortened(spec.digest),
        "weights digest": shortened(backbone.weights_digest),
    }
    parts = []
    if info.request is not None:
        parts.append(
            fold(
                "as it was asked for",
                facts({key: plain(value) for key, value in info.request.items()}),
            )
        )
    if info.excluded:
        rows: list[list[Cell]] = [[str(row), why] for row, why in info.excluded.items()]
        left_out = len(rows) - SHOWN_EXCLUDED
        parts.append(
            fold(
                f"{plural(len(rows), 'row')} without a readable image",
                table(
                    ["row", "why"],
                    rows[:SHOWN_EXCLUDED],
                    more=f"… {left_out:,} more" if left_out > 0 else "",
                ),
            )
        )
    return Card(
        kind="FeatureInfo",
        name=info.name,
        headline=headline(info).removeprefix(info.name).strip(),
        warnings=warnings,
        facts=known,
        parts=parts,
    )


def _pixels(transform: Transform | None) -> str:
    if transform is None:
        return "unknown (imported)"
    fields = {k: v for k, v in dataclasses.asdict(transform).items() if k not in ("mean", "std")}
    geometry = fields.pop("geometry")
    return ", ".join([geometry, *(f"{k} {v}" for k, v in fields.items() if v is not None)])
