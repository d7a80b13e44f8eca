"""RunChoice: which stored runs of several stores were made in one way, and so may share a table."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from featstore.errors import InvalidInputError
from featstore.probe_request import ProbeRequest, stored_configs
from featstore.run_config import RunConfig
from featstore.scaling import ScalingKind
from featstore.selection_plan import SelectBy
from featstore.store import FeatureStore

#: Fields of a configuration that make the protocol, with the option that settles each.
_OPTIONS = {
    "probe": "--probe",
    "preset": "--preset",
    "scaling": "--scaling",
    "select": "--select",
    "value": "--value",
    "seed": "--seed",
    "rule": "",
    "repeats": "",
    "groups": "",
}

Protocol = tuple[object, ...]
"""Values of the fields above; the value of a hyper-parameter only where it was given."""


@dataclass(frozen=True)
class RunChoice:
    """What the runs of a table have in common; None where anything is right, if it is one thing.

    Attributes
    ----------
    probe, preset, value, scaling, select, seed
        See `featstore.probe`; `value` chooses runs to which it was given.
    test
        Split that was reported on.
    """

    probe: str | None = None
    preset: str | None = None
    value: float | None = None
    scaling: ScalingKind | None = None
    select: SelectBy | None = None
    seed: int | None = None
    test: str | None = None

    def candidates(self, store: FeatureStore, target: str) -> dict[str, RunConfig]:
        """Return configurations of stored runs that fit, by name of the run.

        Runs on subsets of the training rows, those reported on other features (such as those of
        corrupted images), and those whose reported rows chose a value, are no candidates.
        """
        return {
            name: config
            for name, config in stored_configs(store)
            if config.target == target
            and config.train_subset is None
            and not config.test_features
            and not config.selected_on_test
            and self.test in (None, config.test_split)
            and self.value in (None, config.value if config.selected_on == "fixed" else None)
            and all(
                getattr(self, field) in (None, getattr(config, field))
                for field in ("probe", "preset", "scaling", "select", "seed")
            )
        }

    def only_protocol(self, configs: Sequence[RunConfig]) -> Protocol | None:
        """Return the one protocol of all these runs; None if there are no runs.

        Raises
        ------
        InvalidInputError
            If there are several: a table must not mix them.
        """
        found = Counter(protocol_of(config) for config in configs)
        if len(found) > 1:
            differ = [
                field
                for place, field in enumerate(_OPTIONS)
                if len({protocol[place] for protocol in found}) > 1
            ]
            ways = "\n  ".join(
                f"{n} runs: " + ", ".join(f"{f}={p[list(_OPTIONS).index(f)]}" for f in differ)
                for p, n in found.most_common()
            )
            options = [_OPTIONS[field] for field in differ if _OPTIONS[field]]
            advice = f"choose with {' or '.join(options)}" if options else "remove those not meant"
            raise InvalidInputError(
                f"the stored runs were made in {len(found)} ways, and one table cannot mix them; "
                f"{advice}:\n  {ways}"
            )
        return next(iter(found), None)

    def request(self, protocol: Protocol | None, *, target: str, device: str) -> ProbeRequest:
        """Return what a missing run has to answer to be like the others, or like this choice."""
        settled = dict.fromkeys(_OPTIONS) | (
            dict(zip(_OPTIONS, protocol, strict=True)) if protocol else {}
        )
        given = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "test"
        }
        taken = {name: settled[name] if given[name] is None else given[name] for name in given}
        taken = {name: value for name, value in taken.items() if value is not None}
        return ProbeRequest(**taken, target=target, test=self.test, device=device)  # type: ignore[arg-type]


def protocol_of(config: RunConfig) -> Protocol:
    """Return what of a configuration must be equal within a table."""
    fields = {name: getattr(config, name) for name in _OPTIONS}
    if config.selected_on != "fixed":
        fields["value"] = None
    return tuple(fields.values())
