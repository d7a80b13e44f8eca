"""Devices of torch: whether CUDA can be used, and if not, why."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from featstore.installation.check import Check

_INSTALL = "choose the command for your driver at https://pytorch.org/get-started/locally"


def nvidia_driver(root: Path = Path("/")) -> str | None:
    """Return the version of the kernel's NVIDIA driver; None where there is none.

    Examples
    --------
    >>> nvidia_driver(Path("/nowhere")) is None
    True
    """
    try:
        text = (root / "proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    words = text.partition("Kernel Module")[2].split()
    # "… Kernel Module  550.54.15  …", or with "for x86_64" in between.
    return next((word for word in words if word[0].isdigit()), "of an unknown version")


def check_devices(torch: Any, driver: str | None) -> Iterator[Check]:
    """Check torch's build against the driver, and every device by one small product.

    Parameters
    ----------
    torch
        The module, imported.
    driver
        As `nvidia_driver` returns it.
    """
    built = torch.version.cuda
    if built is None:
        if driver is None:
            hip = getattr(torch.version, "hip", None)
            yield Check(
                "torch", "CUDA", "ok", f"built for ROCm {hip}" if hip else "none: runs on the CPU"
            )
        else:
            yield Check(
                "torch",
                "CUDA",
                "note",
                f"NVIDIA driver {driver}, but torch {torch.__version__} is built for CPUs only",
                f"to use the GPU install a torch with CUDA: {_INSTALL}",
            )
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available:
        for index in range(torch.cuda.device_count()):
            yield _check_device(torch, index)
    elif driver is None:
        yield Check("torch", "CUDA", "ok", f"built for CUDA {built}; no driver, runs on the CPU")
    elif os.environ.get("CUDA_VISIBLE_DEVICES", "unset") in ("", "-1"):
        yield Check(
            "torch",
            "CUDA",
            "note",
            f"driver {driver}; CUDA_VISIBLE_DEVICES hides every device",
            "unset CUDA_VISIBLE_DEVICES",
        )
    else:
        said = " ".join(str(warning.message).split(" (Triggered")[0] for warning in caught)
        yield Check(
            "torch",
            "CUDA",
            "problem",
            f"built for CUDA {built}, driver {driver}: no device can be used. {said}".strip(),
            f"update the driver, or install a torch built for an older CUDA: {_INSTALL}",
        )


def _check_device(torch: Any, index: int) -> Check:
    properties = torch.cuda.get_device_properties(index)
    found = (
        f"{properties.name}, {properties.total_memory / 1e9:.0f} GB, "
        f"capability {properties.major}.{properties.minor}, CUDA {torch.version.cuda}"
    )
    subject = f"cuda:{index}"
    try:
        ones = torch.ones(8, 8, device=subject)
        right = float((ones @ ones).sum()) == 512
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        return Check(
            "torch",
            subject,
            "problem",
            f"{found}: {first}",
            f"this torch has kernels for {', '.join(torch.cuda.get_arch_list())}: {_INSTALL}",
        )
    if not right:
        return Check(
            "torch",
            subject,
            "problem",
            f"{found}: a product of ones is wrong",
            "the device or its driver is faulty; use --device cpu until it is replaced",
        )
    return Check("torch", subject, "ok", found)
