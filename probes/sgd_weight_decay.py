"""WeightDecayProbe: an SGDProbe whose weight decay is chosen."""

from __future__ import annotations

from typing import ClassVar

from featstore.probes.sgd import SGDProbe


class WeightDecayProbe(SGDProbe):
    """An `SGDProbe` whose weight decay, not learning rate, is chosen by validation rows."""

    parameter: ClassVar[str] = "weight_decay"
    stronger: ClassVar[str] = "larger"
