"""The model card says what the store knows, and nothing else."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

import featstore as fs
from featstore.cli.main import group
from featstore.run import ProbeRun
from featstore.run_exports.published import published
from featstore.store import FeatureStore


@pytest.fixture(scope="module", params=["plain", "tags"])
def shown(store: FeatureStore, run: ProbeRun, request: pytest.FixtureRequest) -> ProbeRun:
    if request.param == "plain":
        return run
    return fs.probe(store, "wide", target="tags", value=1.0, n_boot=50)


def test_the_header_is_yaml_with_the_metrics(store: FeatureStore, shown: ProbeRun) -> None:
    yaml = pytest.importorskip("yaml")
    card = fs.model_card(store, shown)
    assert card.startswith("---\n")
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["library_name"] == "featstore"
    (entry,) = header["model-index"]
    (result,) = entry["results"]
    assert result["dataset"]["split"] == "test"
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    known = shown.metrics.dropna(subset="value").set_index("metric")["value"]
    assert values == {name: round(value, 6) for name, value in known.items()}


def test_the_hub_takes_it(store: FeatureStore, shown: ProbeRun) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(fs.model_card(store, shown))
    results = card.data.eval_results
    assert {one.metric_name for one in results} <= set(shown.metrics["metric"])
    assert card.data.model_name == shown.name


def test_the_body_has_what_was_recorded(store: FeatureStore, shown: ProbeRun) -> None:
    card = fs.model_card(store, shown)
    (feature,) = shown.config.features
    spec = store.feature(feature).spec
    for fact in (
        spec.backbone.weights_digest,
        spec.digest,
        store.samples.digest,
        published(spec.backbone.source),
    ):
        assert f"`{fact}`" in card
    lines = card.splitlines()
    for row in shown.metrics.dropna().itertuples():
        wanted = f"| {100 * row.value:.2f} | {100 * row.low:.2f} – {100 * row.high:.2f} |"
        assert any(line.startswith(f"| {row.metric} {wanted}") for line in lines)
    measure = "average_precision" if shown.predictions.multilabel else "accuracy"
    frame = shown.per_class()
    weakest = frame[frame["n"] > 0].nsmallest(1, measure, keep="first").iloc[0]
    assert f"| {weakest['class']} | {100 * weakest[measure]:.1f} |" in card
    assert "Intended use: Not recorded" in card
    assert "fewer than 10 test rows" in card


def test_the_commands_are_commands(store: FeatureStore, shown: ProbeRun) -> None:
    card = fs.model_card(store, shown)
    blocks = card.split("```sh\n")[1:]
    commands = [line for block in blocks for line in block.split("```")[0].splitlines()]
    names = [shlex.split(line)[1] for line in commands]
    assert names[0] == "predict"
    assert "probe" in names
    for line in commands:
        _, name, *words = shlex.split(line)
        command = group.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        command.make_context(name, words)  # every option is one


def test_what_speaks_against_a_run_is_said(store: FeatureStore) -> None:
    run = fs.probe(store, "small", test="test", val="test", n_boot=20, save=False)
    assert run.config.selected_on_test
    assert "the numbers are optimistic" in fs.model_card(store, run)
    assert "keeps no weights" in fs.model_card(
        store, fs.probe(store, "small", probe="knn", value=3, n_boot=20, save=False)
    )


def test_no_folder_of_this_machine_is_told(store: FeatureStore, shown: ProbeRun) -> None:
    card = fs.model_card(store, shown)
    assert str(store.path.parent) not in card
    assert not re.search(r"(^|[\s=:`'])/\w", card)
    assert f"featstore predict {store.path.name} " in card


def test_names_of_classes_are_shown_as_they_are(store: FeatureStore) -> None:
    run = fs.probe(store, "small", n_boot=20, save=False)
    odd = ("<b>x</b>", "a|b", "*c*")
    predictions = run.predictions
    named = replace(predictions, classes=(*odd, *predictions.classes[3:]))
    card = fs.model_card(store, replace(run, predictions=named))
    assert "<b>" not in card
    assert r"&lt;b>x&lt;/b>, a\|b, \*c\*" in card
    for line in card.splitlines():
        if line.startswith("| ") and r"a\|b" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) == 6
