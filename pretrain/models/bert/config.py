"""Sizes of a BERT and its arithmetic. No JAX here: recipes import this file."""

from dataclasses import dataclass

from pretrain.recipe_fields import ABOVE_ZERO, AT_LEAST_ONE, AT_LEAST_ZERO, ZERO_TO_BELOW_ONE, number


@dataclass(frozen=True)
class BertConfig:
    """A BERT encoder (Devlin et al. 2019, arXiv 1810.04805) with Hugging Face's names."""

    num_hidden_layers: int = number(12, AT_LEAST_ONE)
    """Encoder layers."""
    hidden_size: int = number(768, AT_LEAST_ONE)
    """Width of the hidden states; a multiple of num_attention_heads."""
    num_attention_heads: int = number(12, AT_LEAST_ONE)
    """Attention heads a layer."""
    intermediate_size: int = number(3072, AT_LEAST_ONE)
    """Width of the feed-forward layer."""
    max_position_embeddings: int = number(512, AT_LEAST_ONE)
    """Rows of the position table; at least the records' length."""
    type_vocab_size: int = number(2, AT_LEAST_ONE)
    """Rows of the token type table."""
    hidden_dropout_prob: float = number(0.1, ZERO_TO_BELOW_ONE)
    """Dropout after the embeddings and after each block's output, 0 to 1."""
    attention_probs_dropout_prob: float = number(0.0, ZERO_TO_BELOW_ONE)
    """Dropout on attention probabilities, 0 to 1. Published BERTs used 0.1; it rules out every fused attention kernel."""
    layer_norm_eps: float = number(1e-12, ABOVE_ZERO)
    """Epsilon of LayerNorm."""
    initializer_range: float = number(0.02, AT_LEAST_ZERO)
    """Standard deviation of the normal initialisation of kernels and embeddings."""
    vocab_size: int | None = None
    """Rows of the vocabulary. Left None: the records say. A number that differs from the records' is refused."""

    def parameter_count(self, vocab_size: int, *, pooler: bool = True) -> int:
        """Parameters of the encoder without heads; KLUE-BERT-base (32,000 rows) has 110,617,344 with its pooler."""
        hidden, inner = self.hidden_size, self.intermediate_size
        embeddings = (vocab_size + self.max_position_embeddings + self.type_vocab_size + 2) * hidden
        attention = 4 * (hidden * hidden + hidden) + 2 * hidden
        feed_forward = 2 * hidden * inner + inner + hidden + 2 * hidden
        return (
            embeddings
            + self.num_hidden_layers * (attention + feed_forward)
            + (hidden * hidden + hidden if pooler else 0)
        )

    def flops_per_token(self, vocab_size: int, length: int, predictions: int) -> float:
        """Model FLOPs of one training token, forward and backward (three times the forward's multiply-adds, two each).

        - `length`: tokens a row, for the attention scores.
        - `predictions`: positions a row that the masked-LM head sees.
        Counts matrix products only, as is usual for MFU (Kaplan et al. 2020, arXiv 2001.08361, section 2.1).
        """
        hidden, inner = self.hidden_size, self.intermediate_size
        layer = 4 * hidden * hidden + 2 * hidden * inner + 2 * length * hidden
        head = (hidden * hidden + hidden * vocab_size) * predictions / length
        return 6.0 * (self.num_hidden_layers * layer + head)
