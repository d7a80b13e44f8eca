"""Runtimes: libraries that compute an ONNX graph on a CPU, in float32."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from featstore.errors import InvalidInputError
from featstore.optional import import_optional

Runtime = Literal["onnxruntime", "openvino"]

#: Images, float32 of shape (n, 3, h, w), to the graph's only output; called from several threads.
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def start(
    runtime: Runtime, model: onnx.ModelProto, *, folder: Path, images: int, threads: int
) -> tuple[Run, str]:
    """Load a graph.

    Parameters
    ----------
    runtime
        Which library.
    model
        With one input, and weights inside or below `folder`.
    folder
        Where external weights are.
    images
        Images per call.
    threads
        Calls at a time; each is computed by one thread.

    Returns
    -------
    run, engine
        The function, and the library with its version.

    Raises
    ------
    MissingDependencyError
        If the library is not installed.
    InvalidInputError
        If it cannot load the graph.
    """
    import_optional(runtime, extra="fast")
    if runtime == "onnxruntime":
        return _onnxruntime(model, folder=folder)
    return _openvino(model, folder=folder, images=images, threads=threads)


def _onnxruntime(model: onnx.ModelProto, *, folder: Path) -> tuple[Run, str]:
    import onnxruntime

    session = onnxruntime_session(model, folder=folder, providers=["CPUExecutionProvider"])
    return session_run(session), f"onnxruntime {onnxruntime.__version__} cpu"


def onnxruntime_session(model: onnx.ModelProto, *, folder: Path, providers: list[Any]) -> Any:
    """Start a session of ONNX Runtime whose calls take one thread each.

    Raises
    ------
    InvalidInputError
        If ONNX Runtime cannot load the graph.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; pruned graphs warn about what they no longer need
    # Parallel are whole micro-batches, see `in_micro_batches`.
    options.intra_op_num_threads = 1
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(folder.resolve())
    )
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common public base
        raise InvalidInputError(f"onnxruntime cannot load the graph: {error}") from error


def session_run(session: Any) -> Run:
    """Make the function that a session of ONNX Runtime computes."""
    name = session.get_inputs()[0].name

    def run(images: NDArray[np.float32]) -> NDArray[np.float32]:
        (activation,) = session.run(None, {name: images})
        features: NDArray[np.float32] = activation
        return features

    return run


def _openvino(
    model: onnx.ModelProto, *, folder: Path, images: int, threads: int
) -> tuple[Run, str]:
    import openvino

    try:
        with TemporaryDirectory(prefix="featstore-") as temporary:
            graph = openvino.Core().read_model(_beside_its_weights(model, folder, Path(temporary)))
        # Fixed shapes: what depends on them is worked out once.
        graph.reshape([images, *graph.input(0).partial_shape[1:]])
        compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16, where the processor has it
                "INFERENCE_NUM_THREADS": threads,
                "NUM_STREAMS": threads,
                "ENABLE_CPU_PINNING": False,  # other processes need cores, too
            },
        )
    except Exception as error:
        raise InvalidInputError(f"openvino cannot load the graph: {error}") from error
    # A request holds the buffers of one call at a time; threads come and go, requests stay.
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(threads):
        requests.put(compiled.create_infer_request())

    def run(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        request = requests.get()
        try:
            features: NDArray[np.float32] = request.infer([pixels])[0].copy()
        finally:
            requests.put(request)
        return features

    # OpenVINO's Python binding makes static objects in its first call, during which other threads
    # may take the interpreter's lock and wait for these objects with it, for ever.
    run(np.zeros(list(graph.input(0).shape), np.float32))
    return run, f"openvino {openvino.__version__.partition('-')[0]} cpu"


def _beside_its_weights(model: onnx.ModelProto, folder: Path, place: Path) -> Path:
    """Write a graph into a folder that has its external weights under their names, too.

    One message with all weights could be larger than the 2 GB that protobuf allows.
    """
    locations = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for location in locations:
        file = place / location
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.hardlink_to(folder / location)  # OpenVINO follows no symbolic link to elsewhere
        except OSError:  # another disk, or one without links
            shutil.copyfile(folder / location, file)
    path = place / "graph.onnx"
    path.write_bytes(model.SerializeToString())
    return path
