"""SplitParts: the rows of a store to train on, to choose on and to report on."""

from __future__ import annotations

from dataclasses import dataclass

from featstore.errors import InvalidInputError
from featstore.groups import Groups
from featstore.parts import Part, joined, labelled_part, subset_part
from featstore.samples import Target
from featstore.store import FeatureStore


@dataclass(frozen=True, eq=False)
class SplitParts:
    """Labelled rows by their use, with the names of their splits.

    Attributes
    ----------
    train, refit
        What is trained on while a value is chosen, and at the end: with the validation split,
        where there is one that is not reported on; a subset stays alone.
    val
        A split that chooses; None where a share or folds of the training rows do.
    test
        What is reported on: a split, or all of `refit`, each outer fold in turn.
    train_name, val_name, test_name
        Of the splits.
    nested
        Whether outer folds are reported on.
    """

    train: Part
    refit: Part
    val: Part | None
    test: Part
    train_name: str
    val_name: str | None
    test_name: str
    nested: bool

    @property
    def refit_name(self) -> str:
        """Of the rows trained on at the end: splits joined by ``+``."""
        return self.train_name if self.refit is self.train else f"{self.train_name}+{self.val_name}"

    @property
    def chooses_on_reported(self) -> bool:
        """Whether the split that chooses is the one reported on."""
        return self.val_name == self.test_name

    @classmethod
    def of(
        cls,
        store: FeatureStore,
        names: list[str],
        labels: Target,
        *,
        train: str,
        val: str | None,
        test: str | None,
        by: str,
        train_subset: str | None = None,
    ) -> SplitParts:
        """Find the splits and their labelled rows.

        Parameters
        ----------
        store, names, labels
            Whose rows, of which features, with labels of which target.
        train, val, test
            Names.  By default ``test`` is reported on, or ``val`` in stores without a test split;
            ``val`` chooses unless it is reported on.
        by
            What chooses, see `featstore.selection_plan.SelectionPlan`.  Folds are of the training
            and the validation split together; nested ones are also what is reported on.
        train_subset
            A stored subset of the training split to train on instead.  No other row is then fitted:
            folds are of it alone, and the validation split chooses only.

        Raises
        ------
        InvalidInputError
            If rows would be used twice, or a split has no labelled rows.
        """
        known = store.samples.split_names
        nested = by == "nested"
        if nested and test is not None:
            raise InvalidInputError(
                f"nested selection reports on outer folds of the training rows, not on {test!r}; "
                "leave --test out, or choose by --select kfold to report on it"
            )
        if test is None and not nested:
            test = next((split for split in ("test", "val") if split in known), "test")
        alone = train_subset is not None and by != "val"
        if alone and val is not None:
            raise InvalidInputError(
                f"folds are of the subset {train_subset!r} alone, so {val!r} cannot choose; leave "
                "--val out, or choose by --select val"
            )
        if val is None and "val" in known and "val" not in (train, test) and not alone:
            val = "val"
        if val == train:
            raise InvalidInputError(
                f"{train!r} cannot choose hyper-parameters for a probe that is trained on it; "
                "leave --val out to have a share of it set aside"
            )
        if train == test:
            raise InvalidInputError(
                f"the probe would be tested on the rows it is trained on ({train!r}); choose "
                "another --test split"
            )
        if by == "kfold" and val == test:
            raise InvalidInputError(
                f"folds of the training rows choose, so {val!r} would be trained on and reported "
                "on; leave --val out"
            )
        if train_subset is None:
            train_part = labelled_part(store, names, labels, train)
        else:
            train_part = subset_part(store, names, labels, train, train_subset)
        val_part = None if val is None else labelled_part(store, names, labels, val)
        refit = train_part
        if val_part is not None and val != test and train_subset is None:
            refit = joined(store, [train_part, val_part])
        if test is None:
            test, test_part = train if refit is train_part else f"{train}+{val}", refit
        else:
            test_part = labelled_part(store, names, labels, test)
        return cls(train_part, refit, val_part, test_part, train, val, test, nested)

    def shared_groups(self, groups: Groups | None) -> list[tuple[int, str, str]]:
        """Count the groups with rows in two splits that are used apart; names the splits too."""
        if groups is None or self.nested:
            return []
        pairs = [(self.refit, self.refit_name, self.test, self.test_name)]
        if self.val is not None and self.val_name is not None and not self.chooses_on_reported:
            pairs.append((self.train, self.train_name, self.val, self.val_name))
        counted = [
            (groups.shared(a.view.rows, b.view.rows), a_name, b_name)
            for a, a_name, b, b_name in pairs
        ]
        return [found for found in counted if found[0]]
