"""AttentiveProbe: attention over stored tokens, then a linear map.  Not a linear evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from featstore.errors import InvalidInputError
from featstore.probes.attentive_network import AttentiveNetwork
from featstore.probes.curves import Curve, Training
from featstore.probes.device import DeviceName
from featstore.probes.head_stack import HeadSettings
from featstore.probes.network_probe import NetworkProbe


class AttentiveProbe(NetworkProbe):
    """One learned query attends to the tokens of a row; a linear map reads the result.

    This is the attention pooling classifier of CAPI (Darcet et al. 2025; facebookresearch/capi,
    `eval_classification.py`), and its training: AdamW (0.9, 0.95), biases not decayed, batches of
    128, 12,500 steps of which a tenth is warm-up, then a cosine, the short last batch of an epoch
    left out.  Its numbers are no linear evaluation, and every result is labelled non-linear.

    Parameters
    ----------
    head
        Which one: position in `heads`, the grid of `lrs` x `weight_decays`.
    n_tokens
        Tokens t of a row; the columns are the tokens one after the other, d = t · token_dim.
        `featstore.probe` takes it from the feature.
    head_dim
        Numbers of a token that an attention head sees; token_dim is a multiple of it.
    lrs
        Learning rates before the schedule.
    weight_decays
        Of AdamW, apart from the gradient.
    batch_size
        Rows of a step.
    steps
        Length of the training in batches.
    warmup
        Share of the steps in which the learning rate rises.
    scale_lr
        Whether learning rates are meant for batches of 256 and multiplied by batch_size / 256.
    max_memory
        Bytes, or e.g. ``"2GB"``.  A view with more values is not loaded but read ahead, see
        `SGDProbe`.
    device
        ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is some.
    seed
        Of the weights and of the order of rows.

    Attributes
    ----------
    classes_
        Class labels in sorted order, shape (c,); for an indicator its column numbers.
    curve_
        `Curve`: learning rate, loss and accuracy of each epoch.
    certificate_
        `Training`: the settings of the head and its last epoch, in numbers.
    n_iter_
        Epochs.
    n_features_in_
        Columns of the training features, t · token_dim.

    Notes
    -----
    With several labels the loss is the mean over rows and labels, `torch.nn.BCEWithLogitsLoss`.

    Results are bit-identical for the same input, seed, device and number of threads, wherever
    the features lie.

    Examples
    --------
    The rows of an image as its tokens:

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> probe = AttentiveProbe(n_tokens=8, head_dim=4, lrs=(0.01,), steps=300)
    >>> bool(probe.fit(X[:1000] / 16, y[:1000]).curve_.loss[-1] < 2)
    True
    """

    #: `featstore.probe` refuses features without tokens, and sets `n_tokens`.
    needs_tokens: ClassVar[bool] = True

    _betas: ClassVar[tuple[float, float]] = (0.9, 0.95)
    _drop_last: ClassVar[bool] = True

    def __init__(
        self,
        head: int = 0,
        *,
        n_tokens: int | None = None,
        head_dim: int = 64,
        lrs: Sequence[float] = (1e-3,),
        weight_decays: Sequence[float] = (1e-3,),
        batch_size: int = 128,
        steps: int = 12_500,
        warmup: float = 0.1,
        scale_lr: bool = False,
        max_memory: int | str | None = None,
        device: DeviceName = "cpu",
        seed: int = 0,
    ) -> None:
        self.head = head
        self.n_tokens = n_tokens
        self.head_dim = head_dim
        self.lrs = lrs
        self.weight_decays = weight_decays
        self.batch_size = batch_size
        self.steps = steps
        self.warmup = warmup
        self.scale_lr = scale_lr
        self.max_memory = max_memory
        self.device = device
        self.seed = seed

    @property
    def heads(self) -> list[HeadSettings]:
        """Learning rate and weight decay of every head; learning rates change slowest."""
        return [HeadSettings(lr, decay) for lr in self.lrs for decay in self.weight_decays]

    def check_parameters(self) -> None:
        """Refuse parameters out of range, before any work."""
        if self.n_tokens is None:
            raise InvalidInputError(
                "an attentive probe has to know how many tokens a row holds: set n_tokens"
            )
        self._check_at_least_one("n_tokens", "head_dim", "steps")
        super().check_parameters()

    def _network(self, settings: HeadSettings, *, dim: int, n_columns: int) -> AttentiveNetwork:
        n_tokens = self.n_tokens or 1
        if dim % n_tokens:
            raise InvalidInputError(
                f"X has {dim} columns, which are no {n_tokens} tokens of equal length; n_tokens is "
                "that of a feature extracted with ?pool=tokens"
            )
        if dim // n_tokens % self.head_dim:
            raise InvalidInputError(
                f"tokens of {dim // n_tokens} numbers cannot be divided into attention heads of "
                f"head_dim={self.head_dim}; choose a divisor"
            )
        return AttentiveNetwork(n_tokens, dim // n_tokens, n_columns, self.head_dim)

    def _n_steps(self, steps_per_epoch: int) -> int:
        return self.steps

    def _base_lr(self, lr: float) -> float:
        return lr * self.batch_size / 256 if self.scale_lr else lr

    def _summary(self, settings: HeadSettings, curve: Curve) -> Training:
        return Training.of(curve, lr=self._base_lr(settings.lr), weight_decay=settings.weight_decay)
