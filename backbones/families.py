"""Families: which method's code wrote a checkpoint, and which of its networks is evaluated.

Recognised by the names of entries and tensors that the published code of each method writes.  The
family is a label for people, with two exceptions that change values: the heads of MoCo v3's small
ViT, and the padding of solo-learn's 3 x 3 stem.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One code base.

    Attributes
    ----------
    name
        For people.
    signs
        Patterns; each is found in the path (``entry/tensor``) of some tensor of the file.
    """

    name: str
    signs: tuple[str, ...]


# The first that fits is taken: the more special come first.
FAMILIES = (
    Family("VISSL", (r"(^|\.)classy_state_dict\b|/_feature_blocks\.",)),
    Family(
        "MoCo v3", (r"/(module\.)?base_encoder\.", r"/(module\.)?(momentum_encoder|predictor)\.")
    ),
    Family("MoCo v2", (r"/(module\.)?encoder_q\.fc\.2\.",)),
    Family("MoCo v1", (r"/(module\.)?encoder_q\.",)),
    Family("DINOv2", (r"/(teacher\.)?(module\.)?backbone\.", r"dino_head\.")),
    Family("DINOv2", (r"/register_tokens$",)),
    Family("DINOv2", (r"/mask_token$", r"/blocks\.0\.(0\.)?ls1\.gamma$")),
    Family("DINO", (r"^teacher/(module\.)?backbone\.|^student/(module\.)?backbone\.",)),
    Family("MAE", (r"/decoder_pos_embed$", r"/decoder_pred\.")),
    Family("Barlow Twins", (r"/module\.backbone\.", r"/module\.projector\.", r"/module\.bn\.")),
    Family("VICReg", (r"/module\.backbone\.", r"/module\.projector\.")),
    Family("SwAV", (r"/(module\.)?projection_head\.", r"/(module\.)?prototypes(\d*)\.?")),
    Family("BYOL", (r"/(module\.)?online_encoder\.", r"/(module\.)?online_predictor\.")),
    Family("lightly", (r"/.*\bbackbone(_momentum)?\.\d+\.", r"/.*projection_head[^/]*\.layers\.")),
    Family("lightly", (r"/.*\bbackbone\.", r"/.*projection_head[^/]*\.layers\.")),
    Family(
        "solo-learn", (r"/(backbone|encoder)\.", r"/classifier\.weight$", r"/(projector|momentum_)")
    ),
    Family("SimCLRv2", (r"^resnet/net\.0\.0\.", r"^head/layers\.")),
    Family("SupContrast", (r"^model/encoder\.", r"^model/head\.")),
    Family("SimCLR", (r"/(module\.)?encoder\.", r"/(module\.)?(projector|projection)\.")),
    Family("SimCLR", (r"/backbone\.fc\.0\.", r"/backbone\.fc\.2\.")),
)

# Twins within one checkpoint of which published evaluations use the other one.
_LESSER = re.compile(
    r"\b(encoder_k|momentum_encoder|momentum_backbone|backbone_momentum|backbone_ema|student"
    r"|student_backbone|target_encoder|target_network|key_encoder|teacher_momentum)\b"
)

# Modules beside the backbone that only pretraining, or a classifier on top, uses.
_TRAINING_ONLY = re.compile(
    r"decoder_\w+|mask_token|masked_embed|projector|projection_head\w*|prototypes\w*|predictor"
    r"|prediction_head\w*|queue\w*|dino_head|ibot_head|online_predictor|contrast_head"
    r"|fc|classifier|head|heads|head_dist|last_linear|linear"
)


def only_for_training(module: str) -> bool:
    """Whether a module beside a backbone is no part of it.

    Examples
    --------
    >>> only_for_training("decoder_blocks"), only_for_training("layer5")
    (True, False)
    """
    return _TRAINING_ONLY.fullmatch(module) is not None


def family_of(paths: Iterable[str]) -> str | None:
    """Name the code base that wrote a checkpoint; None if nothing says.

    Parameters
    ----------
    paths
        ``entry/tensor`` of every tensor, entries dotted.

    Examples
    --------
    >>> family_of(["state_dict/module.encoder_q.conv1.weight", "state_dict/module.queue"])
    'MoCo v1'
    """
    lines = list(paths)
    for family in FAMILIES:
        if all(any(re.search(sign, line) for line in lines) for sign in family.signs):
            return family.name
    return None


def is_lesser(prefix: str, entry: str) -> bool:
    """Whether a network's place names the twin that published evaluations do not use.

    DINO evaluates the teacher; MoCo, MoCo v3 and BYOL the encoder that learns by gradients.

    Examples
    --------
    >>> is_lesser("module.encoder_k.", "state_dict"), is_lesser("module.", "teacher")
    (True, False)
    """
    return _LESSER.search(f"{entry}.{prefix}") is not None and entry != "target_encoder"
