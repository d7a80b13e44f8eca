"""Extraction by other processes: the same bits, whoever dies."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest
from click.testing import CliRunner
from deadly_images import DeadlyImages
from kill_writers import tree_digest
from tiny_images import TinyImages, projections

import featstore as fs
from featstore.cli.main import group
from featstore.crew import LIVES, Crew
from featstore.crewed_extraction import extract_with_crew
from featstore.datasets import ImageFolder
from featstore.encoding_line import ExtractionSettings
from featstore.errors import InvalidInputError, UnreadableImageError, WorkerDiedError
from featstore.extraction_job import Step, StepOutcome, pickled
from featstore.feature_extraction import Extraction, extract_features
from featstore.history import history
from featstore.rank import Rank
from featstore.store import FeatureStore
from featstore.workers import Seats
from featstore.workers.ray_cluster import check_address

N = 1000
UNIT = 1024 // 2  # rows of the larger one of two sizes of shards


def new_store(folder: Path) -> FeatureStore:
    images = TinyImages(N)
    return FeatureStore.create(folder / "s.zarr", images.samples, source=images.source)


def by_processes(images: object, store: FeatureStore, processes: int) -> Extraction:
    settings = ExtractionSettings(batch_size=64)
    return extract_with_crew(
        images,  # type: ignore[arg-type]
        projections,
        store,
        settings,
        engine="processes",
        processes=processes,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Return the store of an undisturbed extraction in this process."""
    store = new_store(tmp_path_factory.mktemp("whole"))
    extract_features(TinyImages(N), projections("cpu", 1), store)
    layouts = [store.feature(name).layout.shard_rows for name in ("x", "wide")]
    assert sorted(layouts) == [256, UNIT]
    return store


def test_a_process_that_is_killed_is_replaced_and_its_shard_redone(
    whole: FeatureStore, tmp_path: Path
) -> None:
    store = new_store(tmp_path)
    images = DeadlyImages(N, tmp_path, deadly=700, times=1)
    result = by_processes(images, store, 1)
    assert (result.replaced, result.computed) == (1, ("x", "wide"))
    assert len(list(tmp_path.glob("death-*"))) == 1
    assert tree_digest(store.path) == tree_digest(whole.path)
    # What was committed before is not touched again; the rows of the shard in the making are.
    again = {row // 256 for row, times in images.decoded().items() if times > 1}
    assert again == {2}
    assert history(store.folder)[-1]["replaced"] == 1
    assert by_processes(images, store, 1).unchanged == ("x", "wide")


def test_images_that_kill_every_process_are_named(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    images = DeadlyImages(N, tmp_path, deadly=700, times=100)
    with pytest.raises(
        WorkerDiedError, match=r"computes 488 images from 0000512\.ppm.*died 3 times"
    ):
        by_processes(images, store, 1)
    # The first of them may die while it is at the unit before, and decodes ahead.
    assert len(list(tmp_path.glob("death-*"))) in (LIVES, LIVES + 1)
    assert store.feature("x").committed_rows == UNIT


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of three images, the second one of which is cut short."""
    root = tmp_path / "photos"
    for i, name in enumerate(("ant", "bee", "cat")):
        (root / name).mkdir(parents=True)
        (root / name / f"{i}.ppm").write_bytes(TinyImages(3).image(i))
    (root / "bee" / "1.ppm").write_bytes(b"P6 8 8 255 ")
    return root


def test_errors_of_workers_are_those_of_this_process(photos: Path, tmp_path: Path) -> None:
    images = ImageFolder.scan(photos)
    store = FeatureStore.create(tmp_path / "s.zarr", images.samples, source=images.source)
    with pytest.raises(UnreadableImageError, match=r"1\.ppm.*--on-error skip") as caught:
        by_processes(images, store, 1)
    assert "in a worker" in caught.value.__notes__[0]


@pytest.mark.slow  # three commands that start workers; what they do is tested above
def test_command(photos: Path, tmp_path: Path) -> None:
    net = "random/resnet18?size=32"
    command = ["extract", str(photos), "-b", net, "-o", str(tmp_path / "s.zarr"), "--json"]
    command += ["--on-error", "skip", "--device", "cpu"]
    alone = fs.extract(photos, net, tmp_path / "t.zarr", on_error="skip", device="cpu")
    for images in (3, 0):
        result = CliRunner().invoke(group, [*command, "--processes", "1"])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["images"] == images
        assert json.loads(result.stdout)["excluded"].keys() == {"1"}
    assert tree_digest(tmp_path / "s.zarr") == tree_digest(alone.store.path)
    wrong = CliRunner().invoke(group, [*command, "--address", "auto"])
    assert "belong to engine" in wrong.stderr


class Open(TinyImages):
    def __reduce__(self) -> str:
        raise TypeError("an open file")


def test_what_does_not_go_together(tmp_path: Path) -> None:
    out = tmp_path / "s.zarr"
    with pytest.raises(InvalidInputError, match="Did you mean processes"):
        fs.extract(TinyImages(3), "random/resnet18", out, engine="proceses")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="belong to engine='processes'"):
        fs.extract(TinyImages(3), "random/resnet18", out, processes=2)
    rank = Rank(0, 2)
    with pytest.raises(InvalidInputError, match="exclude each other"):
        fs.extract(TinyImages(3), "random/resnet18", out, engine="ray", rank=rank)
    with pytest.raises(InvalidInputError, match=r"\(Open\) cannot be described .*'inline'"):
        pickled(Open(3))
    assert not out.exists()


class Actor:
    """A worker that is told what to answer, one call after the other."""

    def __init__(self, answer: Callable[[Step | None], StepOutcome | Exception | None]) -> None:
        self.answer = answer
        self.steps: list[Step | None] = []
        self.renewed = 0

    def submit(self, step: Step | None) -> Future[StepOutcome]:
        self.steps.append(step)
        future: Future[StepOutcome] = Future()
        answer = self.answer(step)
        if isinstance(answer, StepOutcome):
            future.set_result(answer)
        elif answer is not None:
            future.set_exception(answer)
        return future

    def renew(self) -> None:
        self.renewed += 1

    def close(self) -> None:
        pass


UNITS = [range(start, start + 10) for start in range(0, 80, 10)]


def units_of(actor: Actor) -> list[range]:
    return [step.rows for step in actor.steps if step is not None]


def test_every_unit_is_given_out_and_the_next_one_foretold() -> None:
    actors = [Actor(lambda step: StepOutcome(images=10)) for _ in range(2)]
    crew = Crew(actors, str)
    crew.open()
    assert sum(outcome.images for outcome in crew.compute(UNITS)) == 80
    assert sorted((u for a in actors for u in units_of(a)), key=lambda u: u.start) == UNITS
    for actor in actors:
        steps = [step for step in actor.steps if step is not None]
        for step, following in itertools.pairwise(steps):
            assert step.then in (following.rows, None)
    assert any(step is not None and step.then for step in actors[0].steps)
    assert actors[0].steps[-1] is None  # committed before it is called done


def test_the_units_of_the_dead_go_to_others_while_a_new_one_is_on_its_way() -> None:
    lost = ConnectionError("the machine is gone")

    def dying(step: Step | None) -> StepOutcome | Exception | None:
        if step is not None:
            return lost
        # There is no machine for the one that comes in its place.
        return StepOutcome() if not first.renewed else None

    first = Actor(dying)
    second = Actor(lambda step: StepOutcome(images=10))
    crew = Crew([first, second], str)
    crew.open()
    found = run_within(10, lambda: [outcome.images for outcome in crew.compute(UNITS)])
    assert found == [10] * 8
    assert sorted(units_of(second), key=lambda unit: unit.start) == UNITS
    assert (first.renewed, crew.replaced) == (1, 1)


def test_the_unit_that_kills_is_told_from_the_one_before_it() -> None:
    """A worker dies of an image that it decodes ahead, while it is at another unit."""
    deadly = UNITS[3]

    def dying(step: Step | None) -> StepOutcome | Exception:
        if step is not None and deadly in (step.rows, step.then):
            return ConnectionError("killed")
        return StepOutcome(images=10)

    actor = Actor(dying)
    crew = Crew([actor], lambda unit: f"unit {unit.start}")
    crew.open()
    outcomes = crew.compute(UNITS)
    assert [next(outcomes).images for _ in range(3)] == [10] * 3
    with pytest.raises(WorkerDiedError, match="that computes unit 30 died 3 times"):
        next(outcomes)
    assert actor.renewed == LIVES


def test_a_worker_that_never_begins_is_done_without() -> None:
    never = Actor(lambda step: ConnectionError("no such package"))
    other = Actor(lambda step: StepOutcome(images=10))
    crew = Crew([never, other], str)
    crew.open()
    assert sum(outcome.images for outcome in crew.compute(UNITS)) == 80
    assert never.renewed <= LIVES
    assert units_of(never) == []


def test_who_dies_before_it_has_begun() -> None:
    actor = Actor(lambda step: ConnectionError("killed"))
    with pytest.raises(
        WorkerDiedError, match=r"before they had begun, 3 in a row \(ConnectionError: killed"
    ):
        Crew([actor], str).open()
    assert actor.renewed == LIVES - 1


def run_within(seconds: float, work: Callable[[], list[int]]) -> list[int]:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.extend(work()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive()
    return found


def test_an_address_at_which_nothing_listens_is_refused_at_once() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        listening.listen()
        check_address(address)
    with pytest.raises(InvalidInputError, match=f"answers at {address}.*refused.*ray start --head"):
        check_address(address)
    check_address("auto")


def test_seats() -> None:
    two = [{"CPU": 8.0}, {"CPU": 2.0}]
    assert Seats.choose(two, None, device="auto") == Seats(2, 4, 0)
    assert Seats.choose(two, 1, device="cpu") == Seats(1, 8, 0)
    assert Seats.choose(two, 5, device="cpu") == Seats(5, 2, 0)
    assert Seats.choose(two, 10, device="cpu") == Seats(10, 1, 0)
    assert Seats.choose([{"CPU": 8, "GPU": 2}, {"CPU": 4}], None, device="auto") == Seats(2, 4, 1)
    with pytest.raises(InvalidInputError, match="no room for 11 workers of a CPU each"):
        Seats.choose(two, 11, device="auto")
    with pytest.raises(InvalidInputError, match="a CPU and a GPU each"):
        Seats.choose(two, 1, device="cuda")
