"""AttentiveNetwork: a learned query attends to the tokens of a row, then a linear head.

With tokens x_t (d numbers each), query q, and key and value maps K and V cut into parts of
`head_dim` rows for each attention head a::

    w_at = softmax over t of q_a · (K_a x_t) / √head_dim
    z_a  = V_a (Σ_t w_at x_t) + c_a
    logits = W z + b

is the `AttnPoolClassifier` of facebookresearch/capi, `eval_classification.py`.  It computes
K x_t and V x_t for every token; since the query is the same for all rows, K_aᵀ q_a can be computed
first, and the tokens be averaged before V: the tokens are then multiplied with one vector of each
attention head, twice, in place of 2 d of them: d / attention heads times less work, for the same
function.  The bias of its keys is left out: it adds the same to all scores of a row, which leaves
the softmax as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from featstore.probes.head_network import Parts

_START_STD = 0.02


@dataclass(frozen=True)
class AttentiveNetwork:
    """Attention pooling by one learned query, and a linear map.

    Attributes
    ----------
    n_tokens, token_dim, n_columns
        Tokens of a row t, numbers of a token d, and logits k.
    head_dim
        Numbers of an attention head; d is a multiple of it.

    Examples
    --------
    >>> network = AttentiveNetwork(n_tokens=49, token_dim=192, n_columns=10, head_dim=64)
    >>> parts = network.start(torch.Generator().manual_seed(0))
    >>> {name: tuple(values.shape) for name, values in parts.items()}
    {'query': (192,), 'key': (192, 192), 'value': (192, 192), 'value_bias': (192,),
     'weight': (10, 192), 'bias': (10,)}
    >>> one_head = {name: values[None] for name, values in parts.items()}
    >>> network.logits(one_head, torch.zeros(2, 49 * 192)).shape
    torch.Size([1, 10, 2])
    """

    n_tokens: int
    token_dim: int
    n_columns: int
    head_dim: int

    @property
    def n_attention_heads(self) -> int:
        """Parts of the query."""
        return self.token_dim // self.head_dim

    def start(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw weights from N(0, 0.02²); biases are 0."""

        def normal(*shape: int) -> Tensor:
            # The original cuts the normal off at 2, a hundred deviations away.
            return torch.empty(shape).normal_(0.0, _START_STD, generator=generator)

        d = self.token_dim
        query, key, value = normal(d), normal(d, d), normal(d, d)
        return {
            "query": query,
            "key": key,
            "value": value,
            "value_bias": torch.zeros(d),
            "weight": normal(self.n_columns, d),
            "bias": torch.zeros(self.n_columns),
        }

    def logits(
        self, parts: Parts, X: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """Compute logits (h, k, b) of rows (b, t d); see `HeadNetwork.logits`."""
        h, b = len(parts["query"]), len(X)
        heads, t, d, e = self.n_attention_heads, self.n_tokens, self.token_dim, self.head_dim
        tokens = X.view(b, t, d)
        query = parts["query"].view(h, heads, 1, e)
        probes = (query @ parts["key"].view(h, heads, e, d)).view(h * heads, d)
        # (b t, d) x (d, h a): one product for all heads
        scores = (tokens.reshape(b * t, d) @ probes.T).view(b, t, h * heads)
        weights = (scores * e**-0.5).softmax(dim=1)
        pooled = weights.transpose(1, 2) @ tokens  # (b, h a, d)
        values = torch.bmm(parts["value"].view(h * heads, e, d), pooled.permute(1, 2, 0))
        values = values.view(h, d, b) + parts["value_bias"][:, :, None]
        return torch.baddbmm(parts["bias"][:, :, None], parts["weight"], values)

    def numbers_per_row(self, n_heads: int) -> int:
        """Tokens, scores before and after the softmax, pooled tokens."""
        queries = n_heads * self.n_attention_heads
        return self.n_tokens * (self.token_dim + 2 * queries) + queries * self.token_dim

    def operations_per_row(self, n_heads: int) -> float:
        """Two products with the tokens."""
        return 4.0 * n_heads * self.n_attention_heads * self.n_tokens * self.token_dim
