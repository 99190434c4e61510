"""What a model card says of use: how to load the model, what its heads do, what was never trained; for `pretrain.exporting.card`.

A head decides what is said, whatever the family.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pretrain.checkpoints.provenance import UNKNOWN
from pretrain.exporting.answers.by_head import answering_head

PLACE = "PATH_OR_NAME"
"""What a reader replaces in a snippet."""
HEADS = {
    "vocabulary": "masked-language-model",
    "replaced": "replaced-token-detection",
    "next_token": "next-token-prediction",
    "target": "target-writing",
}
"""What cards call a head; a pair's is called by its task, any other by its own name."""
UNDERSTANDING = "Fine-tuning on Korean understanding tasks (classification, tagging, span extraction)"
LOADED_HERE = f"""from pretrain.subject import load_subject

model = load_subject("{PLACE}")
print(model.family.title, sorted(model.heads))"""
FINE_TUNING = f"""from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{PLACE}")
model = AutoModelForSequenceClassification.from_pretrained("{PLACE}", num_labels=2)  # its classifier is new: train it
print(model(**tokenizer("첫 문장입니다.", "둘째 문장입니다.", return_tensors="pt")).logits)"""


@dataclass(frozen=True)
class Usage:
    """What a card says of a model with a head.

    - `task`: the hub's pipeline_tag; empty where the hub has none for it.
    - `texts`: for the hub's widget; [MASK] becomes the tokenizer's own, as in `snippet`.
    - `snippet`: Python that shows the head at work.
    - `does`: what it is good for beside fine-tuning; `does_not`: what people may wrongly expect.
    - `fine_tuned`: what for, as the beginning of a sentence that `does` ends.
    - `risk`: what its answers may hold, after "opinions of its training text".
    """

    task: str
    texts: tuple[str, ...]
    snippet: str
    does: str
    does_not: str
    fine_tuned: str = UNDERSTANDING
    risk: str = (
        ", and may complete sentences with offensive or false words, or with personal information that was in that text"
    )


USAGES: Mapping[str, Usage] = {
    "next_token": Usage(
        task="text-generation",
        texts=("대한민국의 수도는", "오늘은 날씨가", "이 영화는 정말"),
        snippet=f"""from transformers import pipeline

continuation = pipeline("text-generation", model="{PLACE}")
print(continuation("대한민국의 수도는", max_new_tokens=32, do_sample=True, top_k=10)[0]["generated_text"])""",
        does="continuing texts",
        does_not="What it writes need not be true. It reads from left to right only and does not fill masks",
        fine_tuned="Fine-tuning on Korean tasks that are answered in text",
    ),
    "replaced": Usage(
        task="",
        texts=(),
        snippet=f"""from transformers import AutoModelForPreTraining, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{PLACE}")
discriminator = AutoModelForPreTraining.from_pretrained("{PLACE}")
inputs = tokenizer("나는 내일 밥을 먹었다.", return_tensors="pt")
replaced = discriminator(**inputs).logits[0].sigmoid()
for token, probability in zip(inputs.tokens(), replaced.tolist()):
    print(f"{{probability:6.1%}}  {{token}}")""",
        does="telling which tokens of a text were replaced",
        does_not="It does not fill masks and does not generate text",
        risk="",
    ),
    "target": Usage(
        task="",
        texts=(),
        snippet=f"""from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{PLACE}")
model = AutoModelForSeq2SeqLM.from_pretrained("{PLACE}")
source = tokenizer("요약할 글을 여기에 씁니다.", truncation=True, return_tensors="pt")
written = model.generate(source.input_ids, attention_mask=source.attention_mask, num_beams=4, max_new_tokens=64)
print(tokenizer.decode(written[0], skip_special_tokens=True))""",
        does="writing what follows from a text, such as its summary, if it was trained on such pairs",
        does_not="What it writes need not be true to the text. It does not fill masks",
        fine_tuned="Fine-tuning on Korean tasks whose answer is written from a text (summaries, titles)",
    ),
    "vocabulary": Usage(
        task="fill-mask",
        texts=("대한민국의 수도는 [MASK]이다.", "오늘은 날씨가 참 [MASK].", "이 영화는 정말 [MASK] 있었다."),
        snippet=f"""from transformers import pipeline

for word in pipeline("fill-mask", model="{PLACE}")("대한민국의 수도는 [MASK]이다."):
    print(f"{{word['score']:6.1%}}  {{word['token_str']}}")""",
        does="filling masks",
        does_not="It does not generate text",
    ),
}


def usage(facts: Mapping[str, Any]) -> Usage | None:
    """The usage of a model; None where transformers has no class for it, or none of its heads has a usage."""
    return USAGES.get(answering_head(facts["heads"])) if facts["auto_class"] else None


def in_heads(heads: Iterable[str], pairs: str) -> str:
    """Heads in words: "with a masked-language-model head".

    - `pairs`: the task of the head `pair`.
    """
    names = [HEADS.get(head, head) for head in sorted(heads) if head != "pair"]
    names += [pairs] if "pair" in heads else []
    if not names:
        return "without a head"
    return f"with {' and '.join(names)} heads" if len(names) > 1 else f"with a {names[0]} head"


def snippet(facts: Mapping[str, Any]) -> str:
    """Python that loads the model and shows its head at work."""
    found = usage(facts)
    return _python(found.snippet.replace("[MASK]", facts["mask_token"]) if found else LOADED_HERE)


def companions(facts: Mapping[str, Any]) -> str:
    """A paragraph on the other models of the same run; empty where there are none."""
    if not facts["others"]:
        return ""
    named = ", ".join(
        f"the {other['part']} (`{other['place']}`, {in_heads(other['heads'], facts['pairs'])})"
        for other in facts["others"]
    )
    return (
        f"This is the {facts['part']}. Trained together with it and exported beside it: {named}. Each may be published as a "
        "repository of its own."
    )


def use(facts: Mapping[str, Any], base: str) -> str:
    """The sections on intended use and risks.

    - `base`: what the card calls the model that the run began with; empty without one.
    """
    found = usage(facts)
    risk = found.risk if found else ""
    return (
        f"## Intended use\n\n{_intended(found, facts)}{_untrained(facts, base)}{_dropout(facts)}{_fine_tuning(found, facts)}\n\n"
        f"## Risks\n\nThe model repeats the bias, the errors and the opinions of its training text{risk}. It was not filtered for "
        "toxicity. Check it on your own task and groups of people before you use it in decisions about them."
    )


def _intended(found: Usage | None, facts: Mapping[str, Any]) -> str:
    if found is None:
        return (
            f"{UNDERSTANDING}, with the code that it was pretrained with: transformers has no class for it."
            if not facts["auto_class"]
            else f"{UNDERSTANDING}."
        )
    if facts["main"]:
        does = f"{found.does[0].upper()}{found.does[1:]}"
        return f"{does}. For fine-tuning take the {facts['main']} instead (`..`). {found.does_not}."
    caveat = facts.get("caveat", "")  # cards of older exports have none
    return f"{found.fine_tuned}, and {found.does}. {found.does_not}.{caveat and ' '}{caveat}"


def _fine_tuning(found: Usage | None, facts: Mapping[str, Any]) -> str:
    """The snippet of fine-tuning; of a causal model, or one that only helped another, there is none."""
    if found is None or found.fine_tuned != UNDERSTANDING or facts["main"]:
        return ""
    return f"\n\n{_python(FINE_TUNING)}"


def _untrained(facts: Mapping[str, Any], base: str) -> str:
    """Sentences on what of the model this run did not train."""
    pooler = ""
    if facts["pairs"]:
        pooler = f" The pooler and the {facts['pairs']} head were trained on sentence pairs."
        if facts["pairs"] != facts["taken_for"]:
            pooler += f" transformers takes that head for one of {facts['taken_for']} prediction, which it was not trained for."
    elif facts["adds_pooler"]:
        pooler = (
            " No pooler was trained: `AutoModel` initialises one at random and says so; use the last hidden states, or "
            "`add_pooling_layer=False`."
        )
    return f"{pooler}{_token_types(facts, base)}{_positions(facts, base)}"


def _positions(facts: Mapping[str, Any], base: str) -> str:
    trained, longest = facts["trained_length"], facts["positions"]
    if trained >= longest:
        return ""
    rows = f" Training rows had at most {trained} tokens"
    if base:
        return f"{rows} here: positions {trained + 1} to {longest} are those of `{base}`."
    return f"{rows}: positions {trained + 1} to {longest} were never trained, and its tokenizer cuts texts before them."


def _token_types(facts: Mapping[str, Any], base: str) -> str:
    """A sentence on the rows of the token type table that this run did not train; empty where there are none."""
    here, in_all = facts["token_types_trained"]
    rows = facts["token_types"]
    if rows < 2:
        return " It has no token types for the texts of a pair, and its tokenizer makes none."
    if rows <= here:
        return ""
    if in_all is None:
        return f" Whether token type 1, which tasks on two texts use, was ever trained: {UNKNOWN}."
    if in_all > here:
        return f" Token type 1, which tasks on two texts use, was not trained here: its row is that of `{base}`."
    if rows == here + 1:
        return f" Token type {here}, which tasks on several texts use, was never trained: it is taken as type 0."
    return f" Token types {here} to {rows - 1}, which tasks on several texts use, were never trained: they are taken as type 0."


def _dropout(facts: Mapping[str, Any]) -> str:
    dropout = facts["dropout"]
    return (
        ""
        if dropout is None
        else f" config.json names the dropout of fine-tuning, {dropout:g}, and not that of pretraining."
    )


def _python(code: str) -> str:
    return f"```python\n{code}\n```"
