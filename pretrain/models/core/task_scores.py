"""The last map of a head, from hidden states to the scores of labels, and the rows of a table that all families share."""

from collections.abc import Callable
from functools import partial

import jax
from flax import nnx

from pretrain.models.core.dependency_parser import DependencyParser, parser_rules
from pretrain.models.core.dropout import dropout
from pretrain.models.core.layers import Draw, Linear, Parameters, wide_einsum
from pretrain.models.core.slot_generator import SlotGenerator, generator_rules
from pretrain.models.parameter_rules import ParameterRule, Rules
from pretrain.models.task_heads import TaskHead, TaskKind

PARSER = "parser"
GENERATOR = "slot_generator"
OF_TOKENS: dict[TaskKind, str] = {
    "tags": "classifier",
    "span": "qa_outputs",
    "dependencies": PARSER,
    "slots": GENERATOR,
}
"""The name, in every family, of what reads each token's hidden state; transformers', but for the last two."""


def label_scores(params: Parameters, hidden: jax.Array) -> jax.Array:
    """Scores of the labels, float32 [..., labels], for hidden states [..., H]; the products are in the type of `hidden`."""
    scores = wide_einsum("...h,hc->...c", hidden, params["kernel"].astype(hidden.dtype))
    return scores + params["bias"] if "bias" in params else scores


def add_token_head(
    tree: nnx.Module, head: TaskHead, width: int, table_width: int, *, draw: Draw, rngs: nnx.Rngs
) -> None:
    """Gives a tree of parameters the head that reads each token.

    - `width`: of the hidden states; `table_width`: of the word table.
    """
    made: nnx.Module
    if head.kind == "dependencies":
        made = DependencyParser(head, width, rngs)
    elif head.kind == "slots":
        made = SlotGenerator(width, table_width, draw=draw, rngs=rngs)
    else:
        made = Linear(width, head.outputs, draw=draw, rngs=rngs)
    setattr(tree, OF_TOKENS[head.kind], made)


def token_scores(
    params: Parameters, hidden: jax.Array, head: TaskHead, rate: float, key: jax.Array | None
) -> jax.Array:
    """Scores of each token's tags, or as the span's start and end: float32 [B, L, outputs] for hidden states [B, L, H].

    - `rate`: of dropout, which a span's head has not; `key`: as for `pretrain.models.core.dropout.dropout`.
    """
    dropped = dropout(hidden, rate, key) if head.kind == "tags" else hidden
    return label_scores(params[OF_TOKENS[head.kind]], dropped)


def label_rules(path: str, *, biased: bool = True) -> Rules:
    """The rows of a map to labels. It is not split: labels are few."""
    name = path.replace("/", ".")
    kernel = ParameterRule(f"{path}/kernel", "matrix", group="head", hugging_face=f"{name}.weight", transposed=True)
    bias = ParameterRule(f"{path}/bias", "bias", group="head", hugging_face=f"{name}.bias")
    return (kernel, bias) if biased else (kernel,)


def token_rules(heads: frozenset[str], body: str, *, projected: bool = False) -> Rules:
    """The rows of the heads that read each token, as far as `heads` has them.

    - `body`, `projected`: as for `pretrain.models.core.slot_generator.generator_rules`.
    """
    rules: dict[str, Callable[[str], Rules]] = {
        PARSER: parser_rules,
        GENERATOR: partial(generator_rules, body=body, projected=projected),
    }
    return tuple(
        rule for kind, path in OF_TOKENS.items() if kind in heads for rule in rules.get(path, label_rules)(path)
    )
