"""transformers' recipe of masked language modelling, for so many seconds: what its example run_mlm.py does by default.

Source: https://github.com/huggingface/transformers/blob/main/examples/pytorch/language-modeling/run_mlm.py: DataCollatorForLanguageModeling
with 15 % of single tokens, the Trainer's AdamW with a linear decay from --learning-rate, batches of 8. Its rows are those of our records,
which pack the same texts, where its group_texts cuts one stream of them every so many tokens.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import torch
import transformers

from data_pipeline.contract.records import Records
from data_pipeline.contract.storage import write_json

TRIED_STEPS = 20
"""Steps of a trial that tells how many the seconds are enough for; they count for nothing."""
BATCH = 8


def main() -> None:
    """python -m benchmarks.studies.run_mlm JSON FOLDER: writes the model and what it took.

    The JSON has `config`, a Hugging Face folder of whose architecture and tokenizer it is; `examples`, the records; `seconds`,
    `learning_rate`, `seed`.
    """
    asked, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    trial = _train(asked, TRIED_STEPS, folder)
    steps = max(1, round(asked["seconds"] / trial["seconds"] * trial["steps"]))
    facts = _train(asked, steps, folder)
    facts.pop("model").save_pretrained(folder)
    write_json(folder / "pretraining.json", facts)


def _train(asked: dict[str, Any], steps: int, folder: Path) -> dict[str, Any]:
    """A fresh model after so many steps, or fewer where the seconds are over before."""
    transformers.set_seed(asked["seed"])
    model = transformers.AutoModelForMaskedLM.from_config(transformers.AutoConfig.from_pretrained(asked["config"]))
    records = Records(Path(asked["examples"]), "train")
    tokenizer = transformers.AutoTokenizer.from_pretrained(asked["config"])
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"),
        use_cpu=True,
        seed=asked["seed"],
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        learning_rate=asked["learning_rate"],
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    clock = _Clock(asked["seconds"])
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=cast(Any, Rows(records)),
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[clock],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    done = trainer.state.global_step
    return {
        "model": model,
        "steps": done,
        "planned_steps": steps,
        "tokens": done * BATCH * records.header.length,
        "seconds": round(clock.seconds, 1),
        "parameters": sum(value.numel() for value in model.base_model.parameters()),
    }


class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """The training rows of records, as the collator takes them."""

    def __init__(self, records: Records) -> None:
        self.records = records
        header = records.header
        self.special = torch.tensor([header.pad_id, header.unk_id, header.cls_id, header.sep_id, header.mask_id])

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        tokens = torch.from_numpy(self.records.read([number])["tokens"][0].astype("int64"))
        return {
            "input_ids": tokens,
            "attention_mask": (tokens != self.records.header.pad_id).long(),
            "special_tokens_mask": torch.isin(tokens, self.special).long(),
        }


class _Clock(transformers.TrainerCallback):
    """Ends training when its seconds are over; the first step's set-up counts."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seconds = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: transformers.TrainerControl, **_: Any) -> None:
        self.seconds = time.monotonic() - self._began
        if self.seconds >= self.limit:
            control.should_training_stop = True


if __name__ == "__main__":
    main()
