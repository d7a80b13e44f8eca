"""Race: how fast probes and reads are on a user's own store (`featstore bench`).

`featstore.race.arrival` races logistic regression to an accuracy, `featstore.race.turns` the other
probes to their end, `featstore.race.reading` times the store.  The benchmarks of the repository use
the same parts.
"""

from __future__ import annotations

from featstore.race.arrival import Arrival
from featstore.race.contest import Bench, bench
from featstore.race.reading import Reading
from featstore.race.turns import Turn

__all__ = ["Arrival", "Bench", "Reading", "Turn", "bench"]
