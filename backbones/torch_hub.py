"""torch.hub: entry points of a repository's hubconf.py, from a folder or from GitHub.

Loading one runs the repository's code.  A folder on this machine counts as trusted; one on GitHub
only once torch.hub's own list has it, or with ``?trust=yes``.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import nn

from featstore.backbones.by_hand import missing_weights, reason
from featstore.backbones.foreign import foreign, unknown_transform
from featstore.backbones.settings import TRANSFORM_OPTIONS, Settings
from featstore.backbones.source import LAYER_OPTIONS, Source
from featstore.backbones.torch_encoder import TorchEncoder, torch_encoder
from featstore.errors import InvalidInputError, WeightsError


def open_encoder(source: Source, settings: Settings) -> TorchEncoder:
    """Open ``torch.hub:OWNER/REPOSITORY[:BRANCH]/ENTRY`` or ``torch.hub:FOLDER/ENTRY``.

    Options: ``pretrained=true|false`` and ``weights=TEXT`` are handed to the entry point;
    ``trust=yes`` runs code from GitHub that torch.hub does not know yet.

    Raises
    ------
    InvalidInputError
        If there is no such entry point, or it gives no module.
    WeightsError
        If the repository or its weights cannot be had.
    """
    source.check_options("pretrained", "weights", "trust", *LAYER_OPTIONS, *TRANSFORM_OPTIONS)
    repository, _, entry = source.model.rpartition("/")
    if not repository:
        raise InvalidInputError(
            f"backbone {source.text!r} must have the form torch.hub:OWNER/REPOSITORY/ENTRY or "
            "torch.hub:FOLDER/ENTRY, e.g. 'torch.hub:facebookresearch/dino:main/dino_vits16'"
        )
    folder = Path(repository)
    local = (folder / "hubconf.py").is_file()
    options: dict[str, Any] = {"source": "local" if local else "github"}
    if not local:
        options |= {"trust_repo": True if source.options.get("trust") == "yes" else "check"}
    arguments: dict[str, Any] = {}
    if "pretrained" in source.options:
        arguments["pretrained"] = source.options["pretrained"] == "true"
    if "weights" in source.options:
        arguments["weights"] = source.options["weights"]
    try:
        # It says what it downloads on stdout, where results go.
        with (
            redirect_stdout(sys.stderr),
            warnings.catch_warnings(),
            torch.random.fork_rng(devices=[]),
        ):
            warnings.simplefilter("ignore")
            module = torch.hub.load(repository, entry, verbose=False, **options, **arguments)  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever the repository's code and the network raise
        if "Cannot find callable" in str(error):
            raise InvalidInputError(f"{repository} has no entry point {entry!r}") from error
        raise WeightsError(_way_out(source, repository, local=local, error=error)) from error
    if not isinstance(module, nn.Module):
        raise InvalidInputError(
            f"backbone {source.text!r} gives a {type(module).__name__}, not a torch module"
        )
    name = folder.resolve().name if local else repository
    network = foreign(
        module,
        architecture=f"torch.hub/{name}/{entry}",
        weights=source.options.get("weights", "the entry point's own"),
        transform=unknown_transform(),
    )
    return torch_encoder(network, source, settings)


def _way_out(source: Source, repository: str, *, local: bool, error: Exception) -> str:
    told = f"cannot load backbone {source.text!r}: {reason(error)}."
    missing = missing_weights(error)
    if missing is not None:
        return f"{told} Fetch {missing[0]} by hand and put it at {missing[1]}"
    if local:
        return f"{told} Weights that it downloads belong in {torch.hub.get_dir()}/checkpoints"
    asks_for_trust = "trust" not in source.options
    allow = " Loading it runs code from GitHub: allow that by ?trust=yes." * asks_for_trust
    return (
        f"{told}{allow} Without a network, clone "
        f"https://github.com/{repository.partition(':')[0]} and give the folder: "
        f"torch.hub:FOLDER/{source.model.rpartition('/')[2]}; weights that it downloads belong in "
        f"{torch.hub.get_dir()}/checkpoints"
    )
