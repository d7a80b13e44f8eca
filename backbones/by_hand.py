"""By hand: which file of a hub that cannot be reached is missing, and where it belongs."""

from __future__ import annotations

import traceback
from pathlib import Path


def reason(error: BaseException) -> str:
    r"""Return an error's message on one line, without a full stop.

    Examples
    --------
    >>> reason(OSError("no\n network.")), reason(EOFError())
    ('no network', 'EOFError')
    """
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def hub_address(repository: str, file: str) -> str:
    """Return where a file of the Hugging Face hub is fetched from.

    Examples
    --------
    >>> hub_address("timm/resnet18.a1_in1k", "model.safetensors")
    'https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors'
    """
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}/resolve/main/{file}"


def hub_copy(repository: str) -> str:
    """Say how a repository of the Hugging Face hub comes into the cache of its client here."""
    from huggingface_hub import constants

    folder = "models--" + repository.replace("/", "--")
    return (
        f"run `hf download {repository}` where there is a network, and copy the folder {folder} "
        f"of the cache there into {constants.HF_HUB_CACHE} here"
    )


def missing_weights(error: BaseException | None) -> tuple[str, Path] | None:
    """Find the file that torch.hub's client could not fetch, in the frames that an error crossed.

    Code of other people's calls it somewhere, and its errors do not name the file.

    Returns
    -------
    address, place
        Of the file; None if the error has another origin.

    Examples
    --------
    >>> missing_weights(OSError("no network")) is None
    True
    """
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            known = frame.f_locals
            is_client = frame.f_globals.get("__name__") == "torch.hub"
            if is_client and isinstance(known.get("url"), str) and "cached_file" in known:
                return known["url"], Path(known["cached_file"])
        error = error.__cause__ or error.__context__
    return None
