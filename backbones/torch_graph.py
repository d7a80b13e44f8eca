"""Torch graph: what a torch encoder computes, as torch's own exporter writes it in ONNX."""

from __future__ import annotations

from typing import Any

import torch

from featstore.backbones.features_module import FeaturesModule
from featstore.backbones.layer import whole_passes
from featstore.backbones.torch_encoder import TorchEncoder
from featstore.errors import InvalidInputError

# Not the exporter of `exported`: that one fixes the number of images, but takes a fraction of the
# time and no package more; this one writes a file for batches of any length.

#: Images of the trial run; torch takes a batch of 1 for a constant.
_TRIAL = 2


def traced(encoder: Any, *, input_name: str, output_name: str, opset: int) -> Any:
    """Have torch write an encoder's network, for batches of any length.

    Returns
    -------
    model
        An ``onnx.ModelProto``.

    Raises
    ------
    InvalidInputError
        If this is no encoder of torch, or torch cannot write its network.
    """
    if not isinstance(encoder, TorchEncoder):
        raise InvalidInputError(
            f"backbone {encoder.spec.source!r} is neither of torch nor of ONNX and cannot be "
            "exported"
        )
    size = encoder.transform.size
    images = torch.zeros(_TRIAL, 3, size, size, device=encoder.device)
    try:
        with torch.no_grad(), whole_passes():
            program = torch.onnx.export(
                FeaturesModule(encoder).eval(),
                (images,),
                dynamo=True,
                input_names=[input_name],
                output_names=[output_name],
                dynamic_shapes={"images": {0: torch.export.Dim("n")}},
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:  # torch's exporter has an exception for every stage
        reason = " ".join(str(error).split())[:300]
        raise InvalidInputError(
            f"torch cannot write backbone {encoder.spec.source!r} as ONNX: {reason}"
        ) from error
    assert program is not None  # as it is for dynamo=True
    return program.model_proto
