"""Estimator: the protocol that every probe fulfils."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Estimator(Protocol):
    """A probe: a scikit-learn classifier that can also try many values of one parameter.

    Beyond what is listed, an estimator may have

    - ``streams = True``: features may come as an object with ``shape``, ``dtype``, ``ids``,
      ``batches()``, ``take()`` and ``array()`` in place of an array, and the estimator itself
      names rows that are not finite;
    - ``recalls = True``: features may come as such an object too, once they were looked through;
      what is made of them is kept by its ``recall()``, see `featstore.shelf.RememberedRows`;
    - ``ties = "larger"``: of values with equal scores the larger one is taken, as the stronger
      regularisation; ``"smaller"`` by default;
    - ``stronger = "smaller"`` or ``"larger"``: which values of the parameter regularise more, for
      the one-standard-error rule; a parameter without it (a learning rate) has no such order;
    - ``counts_rows = True``: the parameter counts training rows, and cannot exceed their number;
    - once fitted, ``chosen_by_``: the rule by which it settled on a value of the parameter on the
      training rows, such as ``"leave-one-out"``; the value is then in the attribute called like
      the parameter with an underscore behind it (``alpha_``);
    - ``nonlinear = True``: what is trained is more than a linear map, and every result says so;
    - ``needs_tokens = True``: rows are tokens one after the other, whose number is set as the
      parameter ``n_tokens``;
    - ``score_subsets``, which fits many small parts of one feature matrix together: see
      `featstore.subset_scores.SubsetEstimator`;
    - ``certificate_``, a dataclass of numbers about the solution;
    - ``coef_`` and ``intercept_`` of a linear head, which are stored with the run, and ``link_``, a
      `featstore.link.Link` from its scores to probabilities.
    """

    #: The hyper-parameter that is chosen on validation rows.
    parameter: str

    #: Its type, ``float`` or ``int``.
    parameter_type: type[float]

    classes_: NDArray[Any]

    def get_params(self) -> dict[str, Any]: ...

    def set_params(self, **parameters: Any) -> Any: ...

    def fit(self, X: Any, y: NDArray[Any]) -> Any: ...

    def predict_proba(self, X: Any) -> NDArray[np.floating]: ...

    def sweep(
        self,
        X: Any,
        y: NDArray[Any],
        queries: Any,
        values: Sequence[float],
    ) -> Iterator[tuple[float, NDArray[np.floating]]]:
        """Fit once per value, sharing all work; yield each value with the queries' scores."""
        ...
