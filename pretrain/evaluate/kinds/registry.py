"""The kinds of tasks by name."""

from collections.abc import Mapping

from pretrain.evaluate.kinds.dependencies import DEPENDENCIES
from pretrain.evaluate.kinds.dialogues import DIALOGUE
from pretrain.evaluate.kinds.kind import Kind
from pretrain.evaluate.kinds.relations import RELATION
from pretrain.evaluate.kinds.spans import SPAN
from pretrain.evaluate.kinds.tags import TAGS
from pretrain.evaluate.kinds.texts import CLASSES, SCORE
from pretrain.evaluate.tasks.task import KindName

KINDS: Mapping[KindName, Kind] = {
    "classes": CLASSES,
    "score": SCORE,
    "relation": RELATION,
    "tags": TAGS,
    "span": SPAN,
    "dependencies": DEPENDENCIES,
    "dialogue": DIALOGUE,
}
OF_TEXTS = tuple(name for name, kind in KINDS.items() if kind.of_texts)
"""Those whose examples are texts with one label."""
