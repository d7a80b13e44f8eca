"""extract_with_crew: workers fill the features of a store; this process gives out shards."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from featstore.cores import available_cores
from featstore.crew import Crew
from featstore.dataset import Dataset
from featstore.device_images import decoding_device
from featstore.encoder import Encoder
from featstore.encoding_line import ExtractionSettings
from featstore.errors import InvalidInputError
from featstore.extraction_desk import DeskDetails, ExtractionDesk
from featstore.extraction_job import ExtractionJob, Step, StepOutcome, pickled
from featstore.feature_extraction import Extraction
from featstore.history import record
from featstore.location import is_url
from featstore.progress import progress_bar
from featstore.sharing import POLL_S, pending_units
from featstore.store import FeatureStore
from featstore.workers import (
    Engine,
    ProcessWorker,
    Seats,
    Worker,
    cluster_nodes,
    connect,
    named_devices,
    process_devices,
    ray_workers,
)

#: Loads encoders by the names of their features, on a device and so many threads.
Loader = Callable[[str, int], Mapping[str, Encoder]]


def extract_with_crew(
    dataset: Dataset,
    load: Loader,
    store: FeatureStore,
    settings: ExtractionSettings,
    *,
    engine: Engine,
    processes: int | None = None,
    address: str | None = None,
    device: str = "auto",
    progress: bool | None = None,
) -> Extraction:
    """Fill the features of a store by other processes; see `featstore.extraction.extract`.

    What travels is the description of the images, once for each worker, and the numbers of rows;
    the workers read images and write shards themselves.  The store's protocol decides what is done,
    so that a worker may die, or be taken for dead, at any moment.

    Parameters
    ----------
    dataset
        The images; it can be pickled.
    load
        Loads the encoders in a worker; it can be pickled.
    store, settings
        See `featstore.encoding_line.EncodingLine`.
    engine
        ``"processes"`` or ``"ray"``.
    processes
        How many; see `featstore.workers.process_devices` and `featstore.workers.Seats.choose`.
    address
        Of the Ray cluster.
    device
        See `featstore.extraction.extract`.
    progress
        Show a progress bar; None shows it on a terminal.

    Raises
    ------
    InvalidInputError
        If the images cannot be sent, or there is no room for so many workers.
    MissingDependencyError
        If the engine is not installed.
    WorkerDiedError
        If a unit of work kills one worker after the other.
    FeatstoreError
        What `extract` raises, from a worker.
    """
    location = store.location if is_url(store.location) else str(Path(store.location).resolve())
    job = partial(_job, pickled(dataset), load, location, settings)
    workers = _hire(job, engine, processes, address, device)
    ids, n_rows = dataset.samples.ids, len(dataset.samples)
    started, images = time.perf_counter(), 0
    with closing(Crew(workers, lambda rows: f"{len(rows)} images from {ids[rows.start]}")) as crew:
        details: DeskDetails = crew.open().details
        with ExitStack() as held:
            writers = list(details.writers.values())
            for writer in writers:
                held.callback(writer.release)
            units = pending_units(writers, n_rows)
            with progress_bar("extract", _rows(units), unit="images", shown=progress) as advance:
                while units:
                    images_before = images
                    for outcome in crew.compute(units):
                        images += outcome.images
                        advance(outcome.images)
                    before, units = _rows(units), pending_units(writers, n_rows)
                    advance(max(before - _rows(units) - (images - images_before), 0))
                    if units and images == images_before:
                        time.sleep(POLL_S)  # others are at it
            for writer in writers:
                writer.seal()
    seconds = time.perf_counter() - started
    if details.engines:
        record(
            store.folder,
            "extract",
            features=details.engines,
            images=images,
            seconds=round(seconds, 3),
            engine=engine,
            processes=len(workers),
            replaced=crew.replaced,
        )
    return Extraction(
        store=store,
        computed=tuple(details.engines),
        unchanged=tuple(name for name in details.writers if name not in details.engines),
        images=images,
        seconds=seconds,
        excluded={
            row: why
            for name in details.writers
            for row, why in store.feature(name).excluded.items()
        },
        replaced=crew.replaced,
    )


def _hire(
    job: Callable[[str, int], ExtractionJob],
    engine: Engine,
    processes: int | None,
    address: str | None,
    device: str,
) -> Sequence[Worker[Step | None, StepOutcome]]:
    if engine == "ray":
        if named_devices(device)[0].partition(":")[2]:
            raise InvalidInputError(
                f"--device {device}: Ray chooses the GPU of each actor; ask for --device cuda"
            )
        connect(address)
        seats = Seats.choose(cluster_nodes(), processes, device=device)
        begin = partial(ExtractionDesk.begin, job(device, seats.cpus))
        return ray_workers(seats.count, begin, cpus=seats.cpus, gpus=seats.gpus)
    import torch

    devices = process_devices(device, processes, gpus=torch.cuda.device_count())
    cpus = max(available_cores() // len(devices), 1)
    return [ProcessWorker(partial(ExtractionDesk.begin, job(one, cpus))) for one in devices]


def _job(
    dataset: bytes,
    load: Loader,
    location: str,
    settings: ExtractionSettings,
    device: str,
    cpus: int,
) -> ExtractionJob:
    return ExtractionJob(
        dataset=dataset,
        load=partial(load, device, cpus),
        location=location,
        settings=replace(
            settings, workers=settings.workers or cpus, decode_device=decoding_device(device)
        ),
    )


def _rows(units: Sequence[range]) -> int:
    return sum(map(len, units))
