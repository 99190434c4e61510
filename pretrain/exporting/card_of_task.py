"""The model card of a fine-tuned model: its task, its scores, what it was trained on and how."""

from collections.abc import Mapping, Sequence
from typing import Any

from data_pipeline.contract.licences import licence_lines
from pretrain.exporting.card import REPOSITORY_NAME, place_name
from pretrain.exporting.card_of_use import PLACE
from pretrain.exporting.model_index import Result, model_index, results_table
from pretrain.hugging_face.folder import hub_id_of
from pretrain.models.task_heads import PIPELINES, TaskHead
from pretrain.subject import Subject

OF_CLASSES = f"""from transformers import pipeline

print(pipeline("text-classification", model="{PLACE}", top_k=None)([INPUT]))"""
OF_SCORES = f"""from transformers import pipeline

score = pipeline("text-classification", model="{PLACE}", function_to_apply="none")
print(score([INPUT]))"""
OF_TAGS = f"""from transformers import pipeline

print(pipeline("token-classification", model="{PLACE}")("이순신은 조선 중기의 무신이다."))"""
OF_SPANS = f"""from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{PLACE}")
model = AutoModelForQuestionAnswering.from_pretrained("{PLACE}")
inputs = tokenizer("대한민국의 수도는?", "대한민국의 수도는 서울이다.", return_tensors="pt")
said = model(**inputs)
start, end = said.start_logits.argmax(), said.end_logits.argmax()
print(tokenizer.decode(inputs["input_ids"][0][start : end + 1]))"""
TEXT = '"음악이 정말 좋았다."'
PAIR = '{"text": "음악이 정말 좋았다.", "text_pair": "음악이 마음에 들었다."}'
TRAIN = "train"
SETTINGS: Mapping[str, str] = {
    "epochs": "epochs",
    "batch_size": "rows a batch",
    "learning_rate": "peak learning rate",
    "schedule": "schedule",
    "warmup_share": "share of the steps that warm up",
    "weight_decay": "weight decay",
    "clip": "largest norm of a gradient",
    "max_length": "most tokens of a row",
    "dropout": "dropout before the head",
    "seed": "seed",
}
"""What a card tells of the settings, in words."""


def task_card(subject: Subject, result: Result, settings: Mapping[str, Any], *, pair: bool, frozen: bool) -> str:
    """README.md of a fine-tuned model.

    - `subject`: with its head; `origin` is the place that fine-tuning began from.
    - `result`: of this very model, whatever other seeds gave. - `settings`: by SETTINGS.
    - `pair`: whether it reads two texts. - `frozen`: whether only the head was trained.
    """
    assert subject.task
    base = place_name({"place": subject.origin, "hub_id": hub_id_of(subject.origin)})
    name = f"{base.removesuffix('/export').rpartition('/')[2]}-{result.name}"
    told = {**settings, "dropout": "the model's" if settings["dropout"] is None else settings["dropout"]}
    training = [f"- data: {result.part[TRAIN]}", *(f"- {words}: {told[field]}" for field, words in SETTINGS.items())]
    learnt = "its head alone (a linear probe)" if frozen else "all its parameters"
    sections = [
        _front_matter(name, subject, result),
        f"# {name}\n\nA Korean {subject.family.title} of {subject.config.in_words()}, fine-tuned on {result.title} in JAX by "
        f"{REPOSITORY_NAME} from `{base}`; trained were {learnt}. {_answers(subject.task, 'a pair of texts' if pair else 'a text')}",
        f"```python\n{_snippet(subject.task, pair)}\n```",
        f"## Results\n\n{results_table([result])}",
        "## Training\n\n" + "\n".join(training),
        "## Risks\n\nThe model repeats the bias and the errors of the texts that it was pretrained and fine-tuned on. Check it on your "
        "own texts and groups of people before you use it in decisions about them.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(name: str, subject: Subject, result: Result) -> str:
    hub_id = hub_id_of(subject.origin)
    lines = [
        "---",
        "language: ko",
        *licence_lines(subject.licences),
        *([f"base_model: {hub_id}"] if hub_id else []),
        "library_name: transformers",
        f"pipeline_tag: {result.task_type}",
        "tags:",
        "- korean",
        f"- {subject.family.name}",
        *model_index(name, [result]),
        "---",
    ]
    return "\n".join(lines)


def _answers(task: TaskHead, of: str) -> str:
    if task.kind == "span":
        return "It says where in a text the answer to a question begins and ends."
    if not task.labels:
        return f"It gives {of} one score."
    whose = "of each token" if task.kind == "tags" else f"of {of}"
    return f"It says {whose} one of {len(task.labels)} labels: {_listed(task.labels)}."


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")


def _snippet(task: TaskHead, pair: bool) -> str:
    if PIPELINES[task.kind] == "text-classification":
        return (OF_CLASSES if task.labels else OF_SCORES).replace("INPUT", PAIR if pair else TEXT)
    return OF_TAGS if task.kind == "tags" else OF_SPANS
