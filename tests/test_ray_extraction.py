"""Extraction on a Ray cluster of two nodes, one of which goes away."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from deadly_images import DeadlyImages
from kill_writers import tree_digest
from tiny_images import TinyImages, projections

import featstore as fs
from featstore.cli.main import group
from featstore.crewed_extraction import extract_with_crew
from featstore.encoding_line import ExtractionSettings
from featstore.feature_extraction import extract_features
from featstore.history import history
from featstore.store import FeatureStore

N, UNIT, BATCH = 4000, 512, 64


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start two nodes of a CPU each, and connect to them."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    # For the actors, which import what the tests do.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.second = made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray's own
def test_a_node_that_dies_costs_a_shard_and_no_bit(cluster: Any, tmp_path: Path) -> None:
    images = TinyImages(N)
    whole, store = (
        FeatureStore.create(tmp_path / name, images.samples, source=images.source)
        for name in ("whole.zarr", "s.zarr")
    )
    extract_features(images, projections("cpu", 1), whole)
    slow = DeadlyImages(N, tmp_path, delay_s=0.003)

    def kill() -> None:
        end = time.monotonic() + 120
        # Both are at work, and each is somewhere in a shard.
        while sorted([0, 0, *slow.readers().values()])[-2] < UNIT // 2 and time.monotonic() < end:
            time.sleep(0.02)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    result = extract_with_crew(
        slow, projections, store, ExtractionSettings(batch_size=BATCH), engine="ray"
    )
    killer.join()
    assert result.computed == ("x", "wide")
    assert history(store.folder)[-1]["processes"] == 2
    assert result.replaced == 1
    assert tree_digest(store.path) == tree_digest(whole.path)
    decoded = slow.decoded()
    assert len(decoded) == N
    again = [row for row, times in decoded.items() if times > 1]
    redone = [u for u in range(0, N, UNIT) if set(range(u, min(u + UNIT, N))) <= set(again)]
    assert len(slow.readers()) == 2
    # The shard it was at, or one whose bytes were being flushed, and what was decoded ahead.
    assert len(redone) <= 1
    assert len(again) < 2 * UNIT + 3 * BATCH


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_command(cluster: Any, few_photos: Path, tmp_path: Path) -> None:
    net = "random/resnet18?size=32"
    alone = fs.extract(few_photos, net, tmp_path / "alone.zarr")
    command = ["extract", str(few_photos), "-b", net, "-o", str(tmp_path / "s.zarr")]
    result = CliRunner().invoke(
        group, [*command, "--engine", "ray", "--address", cluster.address, "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    assert tree_digest(tmp_path / "s.zarr") == tree_digest(alone.store.path)
