"""The peer of benchmarks.fine_tune_speed: the training of transformers' example run_glue.py, an epoch a round.

Source: https://github.com/huggingface/transformers/blob/main/examples/pytorch/text-classification/run_glue.py. By default it pads all
rows to --max_seq_length; with --pad_to_max_length False a batch is as long as its longest row.
"""

from typing import Any, cast

import torch
import transformers

from benchmarks.fine_tune_speed.race import Race
from benchmarks.train_step.peers import InTurns
from benchmarks.train_step.rounds import Turns
from pretrain.evaluate.tasks.examples import TextExample


def train_padded(turns: Turns, race: Race) -> None:
    """run_glue's default."""
    _train(turns, race, pad_to_max_length=True)


def train_dynamic(turns: Turns, race: Race) -> None:
    """run_glue --pad_to_max_length False."""
    _train(turns, race, pad_to_max_length=False)


def _train(turns: Turns, race: Race, *, pad_to_max_length: bool) -> None:
    settings, labels = race.settings, race.task.labels
    transformers.set_seed(settings.seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(race.start)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(race.start, num_labels=len(labels))
    padding = "max_length" if pad_to_max_length else False
    rows = []
    for example in cast(list[TextExample], race.examples()):
        texts = (example.first,) if example.second is None else (example.first, example.second)
        encoded = tokenizer(*texts, padding=padding, max_length=settings.max_length, truncation=True)
        rows.append({**encoded, "label": labels.index(str(example.label))})
    arguments = transformers.TrainingArguments(
        output_dir=str(race.start / "trainer"),
        use_cpu=True,
        seed=settings.seed,
        per_device_train_batch_size=settings.batch_size,
        num_train_epochs=race.epochs,
        learning_rate=settings.learning_rate,
        save_strategy="no",
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=cast(Any, rows),
        data_collator=transformers.default_data_collator if pad_to_max_length else None,
        processing_class=tokenizer,
        callbacks=[InTurns(turns, race.rows // settings.batch_size)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    lengths = [sum(row["attention_mask"]) for row in rows]
    turns.tell({"lengths": [sum(lengths) // len(lengths), max(lengths)], "threads": torch.get_num_threads()})
    trainer.train()
    turns.tell({"loss": [line["loss"] for line in trainer.state.log_history if "loss" in line]})
