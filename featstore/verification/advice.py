"""Advice: what to do about damage, step by step."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress

from featstore.run_config import RunConfig
from featstore.store import FeatureStore
from featstore.verification.finding import UNREADABLE


class Advice:
    """What to do about damage to one store."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._place = shlex.quote(store.location)

    def restore(self, what: str) -> tuple[str, ...]:
        """Advise on what no command can make again."""
        return (
            f"restore {what} from a copy of the store; without one, extract into a new store: ids, "
            "splits and labels are what everything else refers to",
        )

    def repair(self, feature: str) -> tuple[str, ...]:
        """Advise on what `repair` can set aside."""
        return f"featstore verify {self._place} --repair", self._extract(feature)

    def remake(self, feature: str) -> tuple[str, ...]:
        """Advise on a feature that has to be computed as a whole."""
        return self._after_removal("features", feature, self._extract(feature))

    def probe_again(self, run: str, *, known: bool) -> tuple[str, ...]:
        """Advise on a damaged run; `known` is whether its ``zarr.json`` can be trusted."""
        from featstore.html_report.command import probe_command

        again = f"featstore probe {self._place} … --name {run}"
        splits: tuple[str, ...] = ()
        with suppress(*UNREADABLE):
            splits = self._store.samples.split_names
        with suppress(*UNREADABLE):
            if known:
                metadata = json.loads(self._store.folder.read(f"runs/{run}/zarr.json"))
                config = RunConfig.from_json(metadata["attributes"]["run"]["config"])
                again = probe_command(config, run, self._store.location, splits=splits)
        return self._after_removal("runs", run, again)

    def save_again(self, taxonomy: str) -> tuple[str, ...]:
        """Advise on a damaged taxonomy."""
        again = f"featstore granularity {self._place} --taxonomy FILE.csv --save {taxonomy}"
        return self._after_removal("taxonomies", taxonomy, again)

    def draw_again(self, subset: str) -> tuple[str, ...]:
        """Advise on a damaged subset: the same command draws the same rows."""
        return self._after_removal("subsets", subset, f"featstore subset {self._place} …")

    def allow(self) -> tuple[str, ...]:
        """Advise on what the system does not let us read."""
        return ("make it readable and verify again",)

    def compact(self) -> tuple[str, ...]:
        """Advise on what nobody needs."""
        return (f"featstore compact {self._place}",)

    def _after_removal(self, kind: str, name: str, command: str) -> tuple[str, ...]:
        """Put the removal in front of a command, where there is something that can be removed."""
        with suppress(OSError):
            if self._store.folder.size(f"{kind}/{name}/zarr.json") is not None:
                return f"featstore rm {self._place} {name}", command
        return (command,)

    def _extract(self, feature: str) -> str:
        from featstore.html_report.command import extract_command

        with suppress(*UNREADABLE):
            if command := extract_command(self._store, feature):
                return command
            info = self._store.feature(feature)
            if info.is_imported:
                source = shlex.quote(info.spec.backbone.weights)
                return f"featstore import {source} … --name {feature} --out {self._place}"
        return f"the command that made {feature}"
