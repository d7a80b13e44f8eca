"""What other commands found, on the page: data sets, labels in doubt, duplicates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from report_store import make_run, report_store
from small_store import fill

from featstore.cli.main import group
from featstore.html_report import report
from featstore.html_report.exhibit import Exhibit
from featstore.html_report.numbers import hundredths
from featstore.html_report.result_file import exhibits_of
from featstore.numerals import percent
from featstore.samples import Samples
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return report_store(tmp_path_factory.mktemp("s"))


def shown(path: Path, *arguments: str) -> tuple[dict[str, Any], Exhibit]:
    """What a command prints as JSON, and the exhibit made of it."""
    result = CliRunner().invoke(group, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    path.write_text(result.stdout, encoding="utf-8")
    (exhibit,) = exhibits_of([path], digests={})
    return json.loads(result.stdout), exhibit


def cells(exhibit: Exhibit, sheet: int = 0) -> list[dict[str, str]]:
    found = exhibit.sheets[sheet]
    names = [name for name, _ in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found.rows]


def plain(exhibit: Exhibit) -> str:
    return " ".join(exhibit.sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_features_across_data_sets(store: FeatureStore, tmp_path: Path) -> None:
    other = report_store(tmp_path)
    other.delete_run("logistic-lower-digit")
    stores = [f"one={store.path}", f"two={other.path}"]
    options = ["--preset", "logistic", "-f", "upper", "-f", "lower", "--target", "digit"]
    document, exhibit = shown(tmp_path / "x.json", "cross-domain", *stores, *options)
    rows = {row["feature"]: row for row in cells(exhibit)}
    for name in ("upper", "lower"):
        value = store.run(f"logistic-{name}-digit").metric("top1")
        assert rows[name]["one (top-1)"].split()[0] == hundredths(value)
    assert rows["lower"]["two (top-1)"] == "–"
    assert "Over 2 data sets, " in plain(exhibit)
    assert "1 cell without a run" in plain(exhibit)
    assert document["rule"] in exhibit.note
    page = report(store, tmp_path / "p.html", results=[tmp_path / "x.json"])
    assert ">Features across data sets</h3>" in page.read_text(encoding="utf-8")


def test_labels_in_doubt(store: FeatureStore, tmp_path: Path) -> None:
    document, exhibit = shown(
        tmp_path / "x.json", "label-noise", str(store.path), "--run", "logistic-upper-digit",
        "--rows", "test",
    )  # fmt: skip
    assert len(document["candidates"]) > 1
    assert [row["id"] for row in cells(exhibit)] == [row["id"] for row in document["candidates"]][
        :20
    ]
    first = document["candidates"][0]
    assert cells(exhibit)[0]["rather"] == first["suggested"]
    assert cells(exhibit)[0]["label, %"] == hundredths(first["p_label"])
    flagged = sum(row["confident"] for row in document["labels"])
    text = plain(exhibit)
    assert f"{flagged} of {len(document['labels'])} test rows" in text
    assert f"{len(document['candidates'])} of them disputed" in text
    assert percent(document["noise_rate"]).replace("\N{NO-BREAK SPACE}", " ") in text
    assert len(exhibit.figures) == 1


def test_planted_copies_are_duplicates_on_the_page(store: FeatureStore, tmp_path: Path) -> None:
    train, test = store.rows("train"), store.rows("test")
    X = np.asarray(store.view("upper")).copy()
    X[test[:5]] = X[train[:5]]
    samples = store.samples
    leaky = FeatureStore.create(
        tmp_path / "leaky.zarr",
        Samples(ids=samples.ids, splits=samples.splits, targets=dict(samples.targets)),
        source={"kind": "arrays"},
    )
    fill(leaky, "upper", X, dtype="float32", weights="a")
    run = make_run(leaky, ("upper",))
    leaky.save_run(run)
    document, exhibit = shown(
        tmp_path / "x.json", "duplicates", str(leaky.path), "-f", "upper", "--threshold", "0.99999",
        "--run", run.name,
    )  # fmt: skip
    assert {row["id"] for row in cells(exhibit)} >= set(samples.ids[test[:5]].tolist())
    n = document["duplicates"]
    assert plain(exhibit).startswith(f"{n} of {len(test)} rows of test")
    effect = {row["metric"]: row for row in document["effect"]}
    assert [row["without %"] for row in cells(exhibit, 1)] == [
        hundredths(row["without"]) for row in document["effect"]
    ]
    assert effect["top1"]["n_left_out"] == n
    assert "Without them top1 changes by" in plain(exhibit)
