"""A fine-tuned model as a Hugging Face folder, proven like every export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.contract.errors import machine_errors_at
from data_pipeline.contract.storage import write_json
from pretrain.exporting.exported import CARD, new_folder, place_of, replace_export, sync_export
from pretrain.exporting.proof import prove
from pretrain.exporting.tokenizer_files import copy_tokenizer
from pretrain.hugging_face.folder import write_folder
from pretrain.subject import Subject

PROOF_TEXTS = ("대한민국의 수도는 서울이다.", "배우들의 연기가 아쉬웠지만 음악은 정말 좋았다.", "가격이 얼마예요?")


def export_tuned(subject: Subject, to: Path, card: str, beside: Mapping[str, Any]) -> str:
    """Writes the folder of a fine-tuned model, and returns how it was proven.

    - `subject`: with the head of a task.
    - `to`: replaced where it is there.
    - `card`: the content of README.md. - `beside`: further JSON files by name.

    Raises WorkError where the proof fails or the disk does not take it.
    """
    longest = subject.config.longest_row()
    most = longest.tokens if longest else 512
    with new_folder(to) as fresh:
        with machine_errors_at(to):
            write_folder(fresh, subject.tensors, subject.configuration)
            copy_tokenizer(subject, fresh, most)
            (fresh / CARD).write_text(card, encoding="utf-8")
            for name, content in beside.items():
                write_json(fresh / name, content)
        proof = prove(fresh, PROOF_TEXTS, most)
        with machine_errors_at(to):
            sync_export(fresh)
            replace_export(place_of(to), fresh)
    return proof
