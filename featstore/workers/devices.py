"""Devices: which GPU each process of a machine computes on."""

from __future__ import annotations

import os
from collections.abc import Mapping

from featstore.errors import InvalidInputError


def named_devices(device: str) -> list[str]:
    """List the devices that somebody named, separated by commas.

    Raises
    ------
    InvalidInputError
        If several are named and one of them is no GPU with a number.

    Examples
    --------
    >>> named_devices("cuda:0,cuda:2")
    ['cuda:0', 'cuda:2']
    """
    named = [one.strip() for one in device.split(",")]
    if len(named) > 1 and not all(_is_numbered(one) for one in named):
        raise InvalidInputError(
            f"devices {device!r}: of several each is a GPU with its number, such as cuda:0,cuda:1"
        )
    return named


def process_devices(device: str, count: int | None, *, gpus: int) -> list[str]:
    """Give each process of this machine a GPU of its own, or the one that was named for it.

    Parameters
    ----------
    device
        ``"cpu"``; ``"cuda"``: one GPU after the other; ``"auto"``: the same where there are some;
        or GPUs by their numbers, ``"cuda:0,cuda:2"``, each as often as it has processes.
    count
        Processes; by default one for each of these GPUs, or one where none is used.
    gpus
        That this machine has.

    Returns
    -------
    devices
        One for each process.

    Raises
    ------
    InvalidInputError
        If GPUs are missing, or so many processes were not named.

    Examples
    --------
    >>> process_devices("auto", None, gpus=3)
    ['cuda:0', 'cuda:1', 'cuda:2']
    >>> process_devices("cuda:1,cuda:1", None, gpus=2)
    ['cuda:1', 'cuda:1']
    >>> process_devices("auto", 2, gpus=0)
    ['auto', 'auto']
    """
    named = named_devices(device)
    if _is_numbered(named[0]):
        missing = [one for one in named if int(one.partition(":")[2]) >= gpus]
        if missing:
            raise InvalidInputError(
                f"device {missing[0]!r} is not there: torch sees {gpus} CUDA devices"
            )
        if count not in (None, len(named)):
            raise InvalidInputError(
                f"{count} processes, and --device {device} names {len(named)}: name each GPU as "
                "often as it is to have processes, such as cuda:0,cuda:0,cuda:1; or --device cuda, "
                "which gives each process one"
            )
        return named
    if device != "cuda" and not (device == "auto" and gpus):
        return [device] * (count or 1)
    if gpus == 0 or (count or 0) > gpus:
        raise InvalidInputError(
            f"{count or 1} processes of a GPU each, and torch sees {gpus} CUDA devices: ask for "
            "fewer --processes, name a GPU twice (--device cuda:0,cuda:0), or use --device cpu"
        )
    return [f"cuda:{number}" for number in range(count or gpus)]


def rank_device(device: str, *, gpus: int, environment: Mapping[str, str] = os.environ) -> str:
    """Choose the device of a process that a launcher started beside others of this machine.

    torchrun shows all GPUs to all of its processes, and tells each a number by LOCAL_RANK.

    Parameters
    ----------
    device
        That was asked for; nothing but ``"auto"`` and ``"cuda"`` leaves a choice.
    gpus
        That the process sees.
    environment
        Where the launcher has left its variables.

    Examples
    --------
    >>> rank_device("auto", gpus=4, environment={"LOCAL_RANK": "5"})
    'cuda:1'
    >>> rank_device("auto", gpus=4, environment={})
    'auto'
    """
    local = environment.get("LOCAL_RANK", "")
    if device not in ("auto", "cuda") or gpus == 0 or not local.isdecimal():
        return device
    return f"cuda:{int(local) % gpus}"


def _is_numbered(device: str) -> bool:
    kind, _, number = device.partition(":")
    return kind == "cuda" and number.isdecimal()
