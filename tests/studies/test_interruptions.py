"""Studies that are killed, or whose workers are, and the command line around them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from same_bits import same_bits

import featstore as fs
from featstore.cli.main import group
from featstore.store import FeatureStore
from featstore.study.desk import Desk
from featstore.study.schedule import Schedule, compute
from featstore.workers import ProcessWorker

LISTS = 'presets = ["clip-readme"]\nfusions = [["pca", "pixels"]]\nseeds = [0, 1]\n'


def test_a_killed_study_goes_on_and_leaves_no_process(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    path = write_study(LISTS)
    code = (
        "import sys; from featstore.cli import main\n"
        f"if __name__ == '__main__': main(['study', 'run', {str(path)!r}, '--workers', '2'])"
    )
    script = path.with_suffix(".py")
    script.write_text(code)
    study = subprocess.Popen(
        [sys.executable, script], start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: store.runs or study.poll() is not None)
    study.kill()
    study.wait()
    wait_for(lambda: not in_session(study.pid))
    plan = fs.Study.from_toml(path).plan()
    done = {p.run: store.run(p.run).provenance["time"] for p in plan.cells if p.run}
    assert 0 < len(done) < len(plan.cells)
    assert fs.Study.from_toml(path).run().counts == {"done": 6}
    for name, moment in done.items():
        assert store.run(name).provenance["time"] == moment
    name = next(iter(done))
    kept = store.run(name)
    store.delete_run(name)
    fs.Study.from_toml(path).run()
    assert same_bits(kept, store.run(name))


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_cell_alone(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    path = write_study('probes = ["ridge", "centroid"]\nfeatures = ["pca"]')
    plan = fs.Study.from_toml(path).plan()
    worker = ProcessWorker(partial(Desk.begin, 1, None))

    def kill() -> None:
        wait_for(multiprocessing.active_children)
        (child,) = multiprocessing.active_children()
        os.kill(child.pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = {p.cell.label: outcome for p, outcome in compute(Schedule(plan.cells), [worker])}
    killer.join()
    assert found["ridge"].run is None
    assert found["ridge"].error == "BrokenProcessPool"
    assert "died" in found["ridge"].message
    assert found["centroid"].run in store.runs
    assert not multiprocessing.active_children()


def test_cells_of_a_group_stay_with_a_worker_until_there_is_nothing_else(
    store: FeatureStore, write_study: Callable[[str], Path]
) -> None:
    path = write_study('probes = ["ridge", "lda", "centroid", "gaussian"]')
    cells = fs.Study.from_toml(path).plan().cells
    schedule = Schedule(cells)
    first, second = schedule.next(0), schedule.next(1)
    assert first is not None
    assert second is not None
    assert first.cell.group != second.cell.group
    for _ in range(3):
        again = schedule.next(0)
        assert again is not None
        assert again.cell.group == first.cell.group
    stolen = schedule.next(0)
    assert stolen is not None
    assert stolen.cell.group == second.cell.group
    assert [schedule.next(1) is not None for _ in range(3)] == [True, True, False]
    # One of the two matrices at a time.
    low = Schedule(cells, memory=max(planned.need for planned in cells))
    assert low.next(0) is not None
    together = low.next(1)
    assert together is None or together.need + first.need <= max(p.need for p in cells)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(group, ["study", *map(str, arguments)])


def test_commands(store: FeatureStore, write_study: Callable[[str], Path], tmp_path: Path) -> None:
    path = write_study(
        'presets = ["clip-readme"]\nprobes = [{ probe = "knn", value = 5000 }]\n'
        "settings = { n_boot = 20 }"
    )
    dry = run("run", path, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "4 cells" in dry.stdout
    assert "0 done, 4 pending, 0 failed" in dry.stdout
    assert store.runs == []
    done = run("run", path, "--workers", "1")
    assert done.exit_code == 1, done.output
    assert "2 done, 0 pending, 2 failed" in done.stdout
    assert "k=5000 neighbours cannot be had" in done.stderr
    document = json.loads(run("status", path, "--json").stdout)
    assert document["counts"] == {"done": 2, "failed": 2}
    assert {cell["run"] for cell in document["cells"]} == {None, *store.runs}
    shown = run("table", path, "--out", tmp_path / "t.tex")
    assert "pixels" in shown.stdout
    assert r"\textbf{" in (tmp_path / "t.tex").read_text()
    assert run("table", path, "--out", tmp_path / "t.csv").exit_code == 0
    assert (tmp_path / "t.csv").read_text().count("top1") == 2
    page = run("report", path, "--out", tmp_path / "page.html")
    assert page.exit_code == 0, page.output
    assert "page.html (" in page.stdout


def test_init_writes_a_study_that_can_be_read(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    assert run("init", path).exit_code == 0
    assert run("init", path).exit_code == 2
    store.path.rename(tmp_path / "birds.zarr")
    assert fs.Study.from_toml(path).plan().counts == {"pending": 4}
    everything = [line.removeprefix("# ") for line in path.read_text().splitlines()]
    assert "[[exclude]]" in [line.split("  ")[0] for line in everything]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    assert "featstore study init" in run("status", tmp_path / "none.toml").stderr
    (tmp_path / "s.toml").write_text('stores = ["none.zarr"]')
    assert "no store at" in run("run", tmp_path / "s.toml").stderr


@pytest.mark.slow
def test_ray_gives_the_same_bits(
    store: FeatureStore, write_study: Callable[[str], Path], tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray")
    study = fs.Study.from_toml(write_study('probes = ["ridge", { probe = "knn", value = 5000 }]'))
    try:
        assert study.run(engine="ray", workers=2).counts == {"done": 2, "failed": 2}
    finally:
        ray.shutdown()
    runs = {name: store.run(name) for name in store.runs}
    for name in runs:
        store.delete_run(name)
    study.run()
    assert store.runs == list(runs)
    for name, found in runs.items():
        assert same_bits(found, store.run(name))


def test_without_ray_its_engine_says_what_to_install(
    store: FeatureStore, write_study: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run("run", write_study('probes = ["centroid"]'), "--engine", "ray")
    assert result.exit_code == 2
    assert 'pip install "featstore[ray]"' in result.stderr


def wait_for(condition: Callable[[], object], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def in_session(leader: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = entry.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.append(int(entry.parent.name))
    return found
