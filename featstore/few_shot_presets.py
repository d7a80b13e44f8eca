"""How published few-shot protocols draw their rows; the probes are in `featstore.presets`."""

from __future__ import annotations

from featstore.shot_draws import ShotDraws

#: Preset -> draws.  Any other preset is drawn by `ShotDraws` as it is.
SHOT_DRAWS = {
    # google-research/big_vision, evaluators/fewshot_lsr.py: the first k of a permutation of each
    # class, for three seeds; a class that has fewer gives all.
    "bigvision-fewshot": ShotDraws((1, 5, 10, 25), draws=3, nested=True, short="all"),
    # facebookresearch/vissl, extra_scripts/create_voc_low_shot_samples.py and
    # create_places_low_shot_samples.py: every k is drawn by itself, five times.
    "vissl-lowshot": ShotDraws((1, 2, 4, 8, 16, 32, 64, 96), draws=5, nested=False),
}
