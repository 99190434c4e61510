"""Sizes of an ELECTRA. No JAX here: recipes import this file."""

from dataclasses import dataclass, replace

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.recipe_fields import AT_LEAST_ONE, number
from pretrain.models.config import RowShape
from pretrain.models.encoder.config import EncoderConfig


@dataclass(frozen=True)
class ElectraConfig(EncoderConfig):
    """An ELECTRA encoder (Clark et al. 2020, arXiv 2003.10555), discriminator or generator, with Hugging Face's names. The defaults
    are those of the base discriminator; the small one has embedding_size 128, hidden_size 256, 4 heads and intermediate_size 1024."""

    embedding_size: int = number(768, AT_LEAST_ONE)
    """Width of the word, position and token type tables; where hidden_size differs, a linear map follows them."""

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    def generator(self, hidden_share: float, layers_share: float, *, shares_tables: bool = True) -> "ElectraConfig":
        """The generator of this discriminator (get_generator_config of google-research/electra, run_pretraining.py).

        It has tables of the discriminator's width and its head size, and four times its own width between the feed-forward layers.
        """
        hidden = round(hidden_share * self.hidden_size)
        heads = max(1, hidden * self.num_attention_heads // self.hidden_size)
        if hidden % heads or not hidden:
            raise InputError(
                f"--training.objective.generator.hidden-share {hidden_share:g}: makes the generator {hidden} wide with {heads} attention "
                f"heads; choose a share that gives a multiple of the head size {self.hidden_size // self.num_attention_heads}"
            )
        return replace(
            self,
            hidden_size=hidden,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
            num_hidden_layers=max(1, round(layers_share * self.num_hidden_layers)),
        )

    def parameter_count(self, vocab_size: int, heads: frozenset[str]) -> int:
        """Parameters of the encoder; electra-kor-base (42,000 entries) has 117,706,752."""
        return self.encoder_parameters(vocab_size)

    def _head_multiply_adds(self, row: RowShape, heads: frozenset[str]) -> float:
        replaced = (self.hidden_size + 1) * self.hidden_size * row.length if "replaced" in heads else 0
        return super()._head_multiply_adds(row, heads) + replaced
