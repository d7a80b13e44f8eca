"""A probe of clean features on those of corrupted images: the same head, other rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corrupted_store import make_corrupted_store
from sklearn.linear_model import LogisticRegression

import featstore as fs
from featstore.corruption_evaluation import corrupted_features
from featstore.errors import FeatureNotFoundError, InvalidInputError
from featstore.store import FeatureStore


@pytest.fixture(scope="module")
def store(few_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return make_corrupted_store(few_photos, tmp_path_factory.mktemp("applied") / "s.zarr")


def test_the_head_of_clean_rows_scores_corrupted_ones(store: FeatureStore) -> None:
    run = fs.probe(store, "a", value=0.1, test_features="a-jpeg10", n_boot=20)
    labels = store.target()[1].codes
    train, test = store.rows("train"), store.rows("test")
    X, Y = (store.view(name).array().astype(np.float64) for name in ("a", "a-jpeg10"))
    peer = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit(X[train], labels[train])
    classes = peer.classes_
    np.testing.assert_allclose(
        run.predictions.scores[:, classes], peer.predict_proba(Y[test]), atol=2e-3
    )
    assert run.config.features == ("a",)
    assert run.config.test_features == ("a-jpeg10",)
    assert run.config.test_spec_digests == (store.feature("a-jpeg10").spec.digest,)
    assert run.name.startswith("logistic-a-on-a-jpeg10-label-")
    clean = fs.probe(store, "a", value=0.1, n_boot=20)
    assert clean.config.test_features == ()
    assert run.head is not None
    assert clean.head is not None
    np.testing.assert_array_equal(run.head.coef, clean.head.coef)
    loaded = store.run(run.name)
    assert loaded.config == run.config
    assert loaded.fitted is None
    np.testing.assert_array_equal(loaded.predictions.scores, run.predictions.scores)


@pytest.mark.parametrize("probe", ["knn", "centroid", "ridge"])
def test_every_probe_can_be_reported_elsewhere(store: FeatureStore, probe: str) -> None:
    fitted = fs.probe(store, "b", probe=probe, n_boot=0, save=False, keep_fitted=True)
    same = fs.apply_probe(store, fitted, ["b"], n_boot=0)
    np.testing.assert_array_equal(same.predictions.scores, fitted.predictions.scores)
    other = fs.apply_probe(store, fitted, ["b-downsample4"], n_boot=0)
    assert (other.predictions.scores != fitted.predictions.scores).any()
    np.testing.assert_array_equal(other.predictions.ids, fitted.predictions.ids)


def test_several_labels_keep_their_thresholds(few_photos: Path, tmp_path: Path) -> None:
    import dataclasses

    from featstore.datasets import ImageFolder
    from featstore.samples import Target

    data = ImageFolder.scan(few_photos)
    names = data.samples.targets["label"]
    sets = [(names.classes[c], "x" if c % 2 else "y") for c in names.codes.tolist()]
    samples = dataclasses.replace(data.samples, targets={"tags": Target.from_label_sets(sets)})
    data = dataclasses.replace(data, samples=samples)
    net = "a=random/resnet18?size=32"
    made = fs.extract(data, net, tmp_path / "s.zarr", corrupt=["clean", "jpeg10"]).store
    kept = fs.probe(made, "a", preset="ridge", n_boot=0, save=False, keep_fitted=True)
    other = fs.apply_probe(made, kept, ["a-jpeg10"], n_boot=0)
    assert kept.thresholds is not None
    assert other.thresholds is not None
    np.testing.assert_array_equal(other.thresholds.per_class, kept.thresholds.per_class)
    assert "macro_f1_tuned" in other.metrics["metric"].tolist()


def test_features_that_do_not_match_are_refused(store: FeatureStore) -> None:
    with pytest.raises(
        InvalidInputError, match=r"b-jpeg10 is not a on other images: .*weights_digest"
    ):
        fs.probe(store, "a", value=1, test_features="b-jpeg10")
    with pytest.raises(InvalidInputError, match="name as many features"):
        fs.probe(store, ["a", "b"], value=1, test_features=["a-jpeg10"])
    with pytest.raises(InvalidInputError, match="nested"):
        fs.probe(store, "a", value=1, select="nested", test_features="a-jpeg10")
    with pytest.raises(FeatureNotFoundError):
        fs.probe(store, "a", value=1, test_features="a-none")
    run = fs.probe(store, "a", value=1, n_boot=0, save=False)
    with pytest.raises(InvalidInputError, match="keep_fitted"):
        fs.apply_probe(store, run, ["a-jpeg10"])


def test_a_name_means_one_question(store: FeatureStore) -> None:
    fs.probe(store, "a", value=1, name="mine", n_boot=0)
    with pytest.raises(InvalidInputError, match="reported on test; choose another"):
        fs.probe(store, "a", value=1, name="mine", test_features="a-jpeg10", n_boot=0)


def test_drops_come_from_one_fit_and_are_found_again(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert corrupted_features(store, ["a"]) == {
        "downsample4": ["a-downsample4"],
        "jpeg10": ["a-jpeg10"],
    }
    found = fs.corruption_drop(store, "a", baseline="b", value=0.01, n_boot=50)
    assert found.drops["corruption"].tolist() == ["downsample4", "jpeg10"]
    direct = fs.probe(store, "a", value=0.01, test_features="a-jpeg10", n_boot=0, save=False)
    jpeg = found.drops.set_index("corruption").loc["jpeg10"]
    assert jpeg["value"] == pytest.approx(direct.accuracy)
    assert set(found.summary["measure"]) >= {"mCE", "relative_mCE"}
    monkeypatch.setattr("featstore.probe_request.probe", None)
    again = fs.corruption_drop(store, "a", baseline="b", value=0.01, n_boot=50)
    assert again.drops.equals(found.drops)
    fused = corrupted_features(store, ["a", "b"])
    assert fused["jpeg10"] == ["a-jpeg10", "b-jpeg10"]


def test_where_to_start_from_is_said(store: FeatureStore) -> None:
    with pytest.raises(InvalidInputError, match="name a feature of clean images"):
        fs.corruption_drop(store, "a-jpeg10")
    with pytest.raises(InvalidInputError, match=r"images with resize256 \(it has: downsample4"):
        fs.corruption_drop(store, "a", only=["resize256"])
