"""Processor and memory: what this process may use, and whether its threads suit it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping

from threadpoolctl import threadpool_info

from featstore.cgroup import Limits, cgroup_limits
from featstore.cores import available_cores
from featstore.free_memory import available_memory
from featstore.installation.check import Check

#: Bytes below which loading a backbone may fail.
_SCANT = 2 << 30


def check_cores(limits: Limits | None = None) -> Check:
    """Compare the cores of the machine, of the affinity mask, and of the control group.

    Libraries start a thread for every core that they see.  They see the affinity mask but no quota;
    with more threads than the quota allows, all of them stand still until the next period.

    Examples
    --------
    >>> check_cores(Limits(cores=None, memory=None)).state
    'ok'
    """
    quota = (limits or cgroup_limits()).cores
    seen = available_cores()
    found = f"{seen} of {os.cpu_count()} cores may be used"
    if quota is None or quota >= seen:
        return Check("processor", "cores", "ok", found)
    found += f", and {quota:g} cores' time by the control group"
    threads = max(math.floor(quota), 1)
    if 0 < _whole(os.environ.get("OMP_NUM_THREADS")) <= math.ceil(quota):
        return Check("processor", "cores", "ok", f"{found}; OMP_NUM_THREADS fits")
    return Check(
        "processor",
        "cores",
        "note",
        found,
        f"export OMP_NUM_THREADS={threads}: libraries see no quota and start {seen} threads",
    )


def check_memory(limits: Limits | None = None, *, available: int | None = None) -> Check:
    """Say how much memory there is: available now, and allowed by the control group."""
    allowed = (limits or cgroup_limits()).memory
    available = available_memory() if available is None else available
    if available is None and allowed is None:
        return Check("processor", "memory", "ok", "not known on this system")
    amounts = [amount for amount in (available, allowed) if amount is not None]
    found = f"{(amounts[0]) / 1e9:.1f} GB available" if available is not None else ""
    if allowed is not None:
        found += f"{', ' * bool(found)}{allowed / 1e9:.1f} GB allowed by the control group"
    if min(amounts) < _SCANT:
        return Check(
            "processor",
            "memory",
            "note",
            found,
            "take small batches (--batch-size) and give probes a ceiling (--max-memory)",
        )
    return Check("processor", "memory", "ok", found)


def check_threads(environment: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Check what OpenMP was told, and whose OpenMP is loaded.

    Call it after torch, faiss and scikit-learn have been imported: each brings its own.
    """
    environment = os.environ if environment is None else environment
    seen = available_cores()
    asked = environment.get("OMP_NUM_THREADS")
    if asked is not None and _whole(asked) > seen:
        yield Check(
            "processor",
            "OMP_NUM_THREADS",
            "note",
            f"{asked} threads on {seen} cores",
            f"export OMP_NUM_THREADS={seen}",
        )
    else:
        yield Check(
            "processor", "OMP_NUM_THREADS", "ok", asked or f"not set: a thread for each of {seen}"
        )
    policy = environment.get("OMP_WAIT_POLICY", "")
    if policy.upper() == "PASSIVE":
        yield Check("processor", "OMP_WAIT_POLICY", "ok", f"{policy} (as the command line sets it)")
    else:
        yield Check(
            "processor",
            "OMP_WAIT_POLICY",
            "note",
            policy or "not set",
            "export OMP_WAIT_POLICY=PASSIVE before torch is imported: threads that wait otherwise "
            "spin, which on shared cores costs more than the work",
        )
    runtimes = sorted(
        {str(pool["prefix"]) for pool in threadpool_info() if pool["user_api"] == "openmp"}
    )
    mixed = "libgomp" in runtimes and len(runtimes) > 1
    yield Check(
        "processor",
        "OpenMP",
        "note" if mixed else "ok",
        ", ".join(runtimes) or "none loaded",
        "two kinds of OpenMP in one process may crash or crawl: install torch, faiss and "
        "scikit-learn from one source, all by pip or all by conda"
        if mixed
        else "",
    )


def _whole(text: str | None) -> int:
    """Read the number of threads; OpenMP takes a list, the first of which is the outer level's."""
    first = (text or "").split(",")[0].strip()
    return int(first) if first.isdigit() else 0
