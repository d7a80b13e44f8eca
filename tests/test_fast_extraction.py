"""Extraction by the fastest backend: chosen once, then kept, and what others are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kill_writers import tree_digest
from tiny_images import TinyImages

import featstore as fs
from featstore.backbones import load_encoder
from featstore.backend_trial import BackendTrial, deviation
from featstore.cli.main import group
from featstore.encoder import MultiBackend
from featstore.errors import InvalidInputError, MissingDependencyError, SpecMismatchError
from featstore.feature_extraction import extract_here
from featstore.history import history
from featstore.rehearsal import rehearse

NET = "x=random/resnet18?size=32"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let trials always choose one backend; returns a function that says which, and counts."""
    calls: list[str | None] = []

    def choose(backend: str | None) -> list[str | None]:
        def run(encoder: MultiBackend, pixels: Any) -> BackendTrial:
            calls.append(backend)
            assert len(pixels) == 32
            return BackendTrial(encoder.backends[backend]() if backend else encoder, ())

        monkeypatch.setattr(BackendTrial, "run", run)
        return calls

    return choose


def test_a_trial_decides_and_is_recorded(few_photos: Path, tmp_path: Path) -> None:
    exact = fs.extract(few_photos, [NET], tmp_path / "exact.zarr", dtype="float32")
    fast = fs.extract(few_photos, [NET], tmp_path / "s.zarr", dtype="float32", numerics="fast")
    assert exact.trials is None
    assert fast.trials is not None
    assert set(fast.trials["backend"]) == {"", "onnxruntime", "openvino"}
    chosen = fast.trials.query("outcome == 'chosen'")["backend"].item()
    spec = fast.store.feature("x").spec
    assert (spec.backend or "", spec.numerics) == (chosen, "fp32")
    a, b = (result.store.view("x").load() for result in (fast, exact))
    assert deviation(a, b)[1] < 1e-4
    trial, extraction = history(fast.store.folder)[-2:]
    assert [line["outcome"] for line in trial["features"]["x"]] == fast.trials["outcome"].tolist()
    assert extraction["features"]["x"].startswith(chosen or "torch")
    again = fs.extract(few_photos, [NET], tmp_path / "s.zarr", dtype="float32", numerics="fast")
    assert (again.unchanged, again.trials) == (("x",), None)


@pytest.mark.slow
def test_what_was_begun_goes_on_with_its_backend(
    few_photos: Path, tmp_path: Path, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = settled("onnxruntime")
    images = TinyImages(600)
    whole = fs.extract(images, [NET], tmp_path / "whole.zarr", numerics="fast", batch_size=64)

    class KilledError(Exception):
        pass

    def stop(dataset: Any, encoders: Any, *rest: Any, **options: Any) -> Any:
        encoder = next(iter(encoders.values()))
        batches = iter(range(5))  # a shard is 4 of them

        class Stopping:
            def __getattr__(self, name: str) -> Any:
                return getattr(encoder, name)

            def encode(self, pixels: Any) -> Any:
                if next(batches, None) is None:
                    raise KilledError
                return encoder.encode(pixels)

        return extract_here(dataset, {"x": Stopping()}, *rest, **options)

    monkeypatch.setattr("featstore.extraction.extract_here", stop)
    with pytest.raises(KilledError):
        fs.extract(images, [NET], tmp_path / "s.zarr", numerics="fast", batch_size=64)
    monkeypatch.setattr("featstore.extraction.extract_here", extract_here)
    settled("openvino")
    resumed = fs.extract(images, [NET], tmp_path / "s.zarr", numerics="fast", batch_size=64)
    assert calls == ["onnxruntime", "onnxruntime"]
    assert 0 < resumed.images < 600
    for name in ("features/x/c", "features/x/zarr.json"):
        paths = [store.path / name for store in (whole.store, resumed.store)]
        assert tree_digest(paths[0]) == tree_digest(paths[1])

    # On a machine that has no such library it does not go on with another one.
    fs.extract(few_photos, [NET], tmp_path / "t.zarr", numerics="fast")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"featstore\[fast\]"):
        fs.extract(few_photos, [NET], tmp_path / "t.zarr", numerics="fast", corrupt="jpeg10")


def test_exact_and_fast_under_one_name(few_photos: Path, tmp_path: Path, settled: Any) -> None:
    calls = settled("openvino")
    fs.extract(few_photos, [NET], tmp_path / "fast.zarr", numerics="fast")
    with pytest.raises(SpecMismatchError, match=r"backend: openvino \| –"):
        fs.extract(few_photos, [NET], tmp_path / "fast.zarr")
    with pytest.raises(SpecMismatchError, match=r"backend: openvino \| –"):
        rehearse(few_photos, [NET], tmp_path / "fast.zarr")
    # Exact features are as good as any that "fast" asks for.
    fs.extract(few_photos, [NET], tmp_path / "exact.zarr", numerics="exact")
    kept = fs.extract(few_photos, [NET], tmp_path / "exact.zarr", numerics="fast")
    assert kept.unchanged == ("x",)
    assert kept.store.feature("x").spec.backend is None
    assert calls == ["openvino"]


def test_features_of_one_backbone_share_a_backend(
    few_photos: Path, tmp_path: Path, settled: Any
) -> None:
    calls = settled("openvino")
    corrupt = ["clean", "jpeg10"]
    store = fs.extract(
        few_photos, [NET], tmp_path / "s.zarr", numerics="fast", corrupt=corrupt
    ).store
    settled("onnxruntime")
    fs.extract(few_photos, [NET], store.path, numerics="fast", corrupt="downsample2")
    backends = {name: store.feature(name).spec.backend for name in store.features}
    assert set(backends) == {"x", "x-jpeg10", "x-downsample2"}
    assert set(backends.values()) == {"openvino"}
    assert calls == ["openvino"]


def test_processes_that_begin_together_agree(
    few_photos: Path, tmp_path: Path, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process commits by another backend between this one's trial and its first shard."""
    settled("onnxruntime")
    out = tmp_path / "s.zarr"
    real = extract_here

    def late(dataset: Any, encoders: Any, *rest: Any, **options: Any) -> Any:
        monkeypatch.setattr("featstore.extraction.extract_here", real)
        encoder = load_encoder("random/resnet18?size=32")
        assert isinstance(encoder, MultiBackend)
        real(dataset, {"x": encoder.backends["openvino"]()}, *rest, **options)
        return real(dataset, encoders, *rest, **options)

    monkeypatch.setattr("featstore.extraction.extract_here", late)
    result = fs.extract(few_photos, [NET], out, numerics="fast")
    assert result.store.feature("x").spec.backend == "openvino"


def test_encoders_that_have_no_such_backend(
    few_photos: Path, tmp_path: Path, settled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled("openvino")
    fs.extract(few_photos, [NET], tmp_path / "s.zarr", numerics="fast")
    monkeypatch.setattr("featstore.backbones.torch_encoder.TorchEncoder.backends", {})
    with pytest.raises(InvalidInputError, match=r"'openvino', which torch .* has no way to"):
        fs.extract(few_photos, [NET], tmp_path / "s.zarr", numerics="fast", corrupt="jpeg10")


def test_commands(few_photos: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "s.zarr")
    words = ["extract", str(few_photos), "-b", NET, "-o", out, "--numerics", "fast"]
    words += ["--decode", "fast"]
    dry = CliRunner().invoke(group, [*words, "--dry-run", "--json"])
    assert json.loads(dry.stdout)["features"][0]["engine"]
    result = CliRunner().invoke(group, [*words, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert {line["outcome"] for line in document["trials"]} >= {"chosen"}
    spec = fs.open(out).feature("x").spec
    assert spec.transform is not None
    assert spec.transform.decode == "fast"
    refused = CliRunner().invoke(group, ["extract", str(few_photos), "-b", NET, "-o", out])
    assert "transform.decode: fast | –" in refused.output


@pytest.mark.slow
def test_processes_use_what_was_chosen_for_all(tmp_path: Path, settled: Any) -> None:
    calls = settled("openvino")
    images = TinyImages(300)
    inline = fs.extract(images, [NET], tmp_path / "a.zarr", numerics="fast")
    other = fs.extract(
        images, [NET], tmp_path / "b.zarr", numerics="fast", engine="processes", processes=2
    )
    assert other.store.feature("x").spec.backend == "openvino"
    paths = [result.store.path / "features" / "x" / "c" for result in (inline, other)]
    assert tree_digest(paths[0]) == tree_digest(paths[1])
    assert calls == ["openvino", "openvino"]
