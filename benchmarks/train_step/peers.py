"""The peers of benchmarks.train_step: transformers' Trainer, and a plain torch loop that gathers masked positions."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn.functional import cross_entropy

from benchmarks.train_step.floor import masking_of, max_predictions, products, seconds_per_step
from benchmarks.train_step.rounds import Facts, Setting, Turns, dropouts
from benchmarks.train_step.rows import Rows, example_of, first_rows
from data_pipeline.contract.records import RecordsHeader
from pretrain.devices.host_memory import keep_freed_memory
from pretrain.recipe import TrainingRecipe

TRIED_STEPS = 4
"""Steps of which the shortest decides between the ways of running the plain loop, after one that compiles."""


def train_with_trainer(turns: Turns, setting: Setting) -> None:
    """transformers.Trainer as it comes: its loop, its dataloader, its collator with whole words, its head at every position.

    It reads a row as one text: no segments, positions run through.
    """
    recipe, optimizer = setting.recipe, setting.recipe.optimizer
    model, rows, _ = _begin(setting)
    facts = _facts(model, setting)
    arguments = transformers.TrainingArguments(
        output_dir=str(setting.folder / "trainer"),
        use_cpu=True,
        seed=recipe.seed,
        per_device_train_batch_size=recipe.global_batch_size,
        dataloader_drop_last=True,
        max_steps=recipe.max_steps,
        learning_rate=optimizer.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=optimizer.warmup_steps,
        weight_decay=optimizer.weight_decay,
        adam_beta1=optimizer.beta1,
        adam_beta2=optimizer.beta2,
        adam_epsilon=optimizer.epsilon,
        max_grad_norm=optimizer.clip_norm,
        # Else the Trainer throws the offsets away before the collator, which needs them, because the model does not.
        remove_unused_columns=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=[_example(*row) for row in zip(rows.tokens, rows.special, rows.word_starts, strict=True)],
        data_collator=transformers.DataCollatorForLanguageModeling(
            transformers.AutoTokenizer.from_pretrained(setting.start),
            whole_word_mask=True,
            mlm_probability=masking_of(recipe).rate,
            mask_replace_prob=1.0,  # with whole words the collator can do nothing else
            random_replace_prob=0.0,
        ),
        callbacks=[InTurns(turns, setting.steps)],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    turns.tell({**facts, "optimizer": transformers.training_args.OptimizerNames(arguments.optim).value})
    trainer.train()
    turns.tell({"loss": held_out_loss(model, setting)})


class InTurns(transformers.TrainerCallback):
    """Lets the Trainer go on by a round at a time. Rounds meet at the end of a step: each holds the loading of its own batches."""

    def __init__(self, turns: Turns, steps: int) -> None:
        self._turns = iter(turns)
        self._steps = steps

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        next(self._turns)

    def on_step_end(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **_: Any,
    ) -> None:
        if state.global_step % self._steps == 0 and next(self._turns, "over") == "over":
            control.should_training_stop = True


def _example(tokens: np.ndarray, special: np.ndarray, word_starts: np.ndarray) -> dict[str, list[Any]]:
    """A row as the collator takes it: tokens whose offsets touch are one word to it, so a blank is put before each word."""
    begins = np.arange(len(tokens)) + np.cumsum(word_starts)
    return {**example_of(tokens, special), "offset_mapping": np.stack([begins, begins + 1], axis=-1).tolist()}


def train_gathered(turns: Turns, setting: Setting) -> None:
    """A plain torch loop with the head at masked positions only and attention inside segments, in the fastest way it was tried in."""
    keep_freed_memory()  # as ours; the Trainer runs as its users get it
    header, loop = _train_gathered(turns, setting)
    listed = products(setting.recipe, header.vocabulary_size, header.length, loop.predictions)
    rates = seconds_per_step(
        listed,
        torch.from_numpy,
        lambda a, b, swap_a, swap_b: torch.matmul(a.mT if swap_a else a, b.mT if swap_b else b),
    )
    turns.tell({"loss": held_out_loss(loop.model, setting), "products": rates})


def train_gathered_on_gpu(turns: Turns, setting: Setting) -> None:
    """The same loop on `setting.device`, float32 parameters and products in the recipe's type (autocast)."""
    torch.set_float32_matmul_precision("high")
    _, loop = _train_gathered(turns, setting)
    on_gpu = setting.device == "cuda"
    turns.tell(
        {
            "loss": held_out_loss(loop.model, setting),
            "memory": torch.cuda.max_memory_allocated() if on_gpu else None,
        }
    )


def _train_gathered(turns: Turns, setting: Setting) -> tuple[RecordsHeader, "_GatheredLoop"]:
    model, rows, header = _begin(setting)
    facts = _facts(model, setting)
    loop = _GatheredLoop(setting, model, rows, header)
    turns.tell({**facts, "tried": loop.choose_fastest()})
    for _ in turns:
        for _ in range(setting.steps):
            loop.step()
        loop.wait()
    return header, loop


class _GatheredLoop:
    """Batches, masks and steps of `train_gathered`."""

    def __init__(
        self, setting: Setting, model: transformers.BertForMaskedLM, rows: Rows, header: RecordsHeader
    ) -> None:
        self.recipe, self.model, self.header, self.device = setting.recipe, model, header, setting.device
        self.predictions = max_predictions(self.recipe, header.length)
        fields = (rows.tokens, rows.special, rows.segments, _positions(rows.segments))
        *self.rows, self.positions = (torch.from_numpy(field).to(self.device) for field in fields)
        self.loss: Callable[..., torch.Tensor] = self._loss
        self._batches = self._shuffled()

    def choose_fastest(self) -> dict[str, float]:
        """Tries eager and compiled, foreach and fused AdamW; keeps the fastest. Returns each way's shortest step in seconds."""
        ways: dict[str, tuple[Callable[..., torch.Tensor], dict[str, bool]]] = {
            "eager, foreach AdamW": (self._loss, {"foreach": True}),
            "eager, fused AdamW": (self._loss, {"fused": True}),
            "torch.compile, fused AdamW": (torch.compile(self._loss), {"fused": True}),
        }
        start = {name: value.clone() for name, value in self.model.state_dict().items()}
        tried = {}
        for name, (loss, kind) in ways.items():
            self._begin_as(loss, kind, start)
            self.step()
            self.wait()
            times = []
            for _ in range(TRIED_STEPS):
                began = time.perf_counter()
                self.step()
                self.wait()
                times.append(time.perf_counter() - began)
            tried[name] = min(times)
        self._begin_as(*ways[min(tried, key=tried.__getitem__)], start)
        return tried

    def _begin_as(
        self, loss: Callable[..., torch.Tensor], kind: dict[str, bool], start: dict[str, torch.Tensor]
    ) -> None:
        self.model.load_state_dict(start)
        self.loss, optimizer = loss, self.recipe.optimizer
        decayed = [value for value in self.model.parameters() if value.ndim > 1]
        others = [value for value in self.model.parameters() if value.ndim == 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups,
            lr=optimizer.learning_rate,
            betas=(optimizer.beta1, optimizer.beta2),
            eps=optimizer.epsilon,
            weight_decay=optimizer.weight_decay,
            **kind,
        )
        self.schedule = transformers.get_linear_schedule_with_warmup(
            self.optimizer, optimizer.warmup_steps, self.recipe.max_steps
        )

    def step(self) -> None:
        """One training step."""
        self.loss(*self._masked(next(self._batches))).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip_norm)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)

    def wait(self) -> None:
        """Until the device has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _shuffled(self) -> Iterator[torch.Tensor]:
        size = self.recipe.global_batch_size
        while True:
            order = torch.randperm(len(self.rows[0]), device=self.device)
            yield from order[: len(order) // size * size].split(size)

    def _masked(self, rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Hides random tokens, 80/10/10. Not whole words as ours does: it has less to do."""
        masking, header = masking_of(self.recipe), self.header
        tokens, special, segments = (field[rows] for field in self.rows)
        order = torch.rand(tokens.shape, device=self.device).masked_fill_(special, 2.0)
        order, positions = order.topk(self.predictions, largest=False, sorted=False)
        labels = tokens.gather(1, positions)
        draw = torch.rand(labels.shape, device=self.device)
        shown = torch.where(
            draw < masking.mask_share + masking.random_share,
            torch.randint(len(header.reserved_ids), header.vocabulary_size, labels.shape, device=self.device),
            labels,
        )
        shown = torch.where(draw < masking.mask_share, header.mask_id, shown)
        visible = segments[:, None, :, None] == segments[:, None, None, :]
        flat = positions + header.length * torch.arange(len(rows), device=self.device)[:, None]
        weights = (order < 2.0).float()
        return tokens.scatter(1, positions, shown), self.positions[rows], visible, flat, labels, weights

    def _loss(
        self,
        inputs: torch.Tensor,
        position_ids: torch.Tensor,
        visible: torch.Tensor,
        flat: torch.Tensor,
        labels: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        with _products_in(self.recipe, self.device):
            hidden = self.model.bert(inputs, attention_mask=visible, position_ids=position_ids).last_hidden_state
            # index_select on flat rows: its backward pass is one index_add.
            logits = self.model.cls(hidden.flatten(0, 1).index_select(0, flat.flatten()))
        losses = cross_entropy(logits.float(), labels.flatten(), reduction="none")
        return (losses * weights.flatten()).sum() / weights.sum()


def held_out_loss(model: transformers.BertForMaskedLM, setting: Setting) -> float:
    """Nats a prediction on our held-out batch, with our masks."""
    batch = np.load(setting.held_out)
    logits = _logits_at_predictions(model, batch, len(batch["inputs"]), setting)
    losses = cross_entropy(logits.flatten(0, 1), torch.from_numpy(batch["labels"]).flatten().long(), reduction="none")
    weights = torch.from_numpy(batch["weights"]).flatten()
    return float((losses * weights).sum() / weights.sum())


def _begin(setting: Setting) -> tuple[transformers.BertForMaskedLM, Rows, RecordsHeader]:
    """The model with our parameters of step 0, and the rows."""
    torch.manual_seed(setting.recipe.seed)
    model = transformers.BertForMaskedLM.from_pretrained(setting.start, attn_implementation="sdpa")
    model.to(torch.device(setting.device))  # type: ignore[arg-type]  # its decorator hides what it takes
    return model.train(), *first_rows(setting)


def _facts(model: transformers.BertForMaskedLM, setting: Setting) -> Facts:
    batch = np.load(setting.held_out)
    ours = batch["logits"]
    theirs = _logits_at_predictions(model, batch, len(ours), setting).numpy()
    return {
        "parameters": sum(value.numel() for value in model.parameters()),
        "dropouts": dropouts(model.config),
        "loss": held_out_loss(model, setting),
        "logits": float(np.abs(theirs - ours)[batch["weights"][: len(ours)] > 0].max()),
    }


def _products_in(recipe: TrainingRecipe, device: str) -> torch.autocast:
    """Matrix products in the recipe's compute type."""
    return torch.autocast(device, torch.bfloat16, enabled=recipe.compute_dtype == "bfloat16")


def _logits_at_predictions(
    model: transformers.BertForMaskedLM, batch: Any, rows: int, setting: Setting
) -> torch.Tensor:
    """float32 [rows, K, V], without dropout."""
    fields = ("inputs", "position_ids", "segments", "positions")
    inputs, position_ids, segments, positions = (
        torch.from_numpy(batch[name][:rows]).long().to(setting.device) for name in fields
    )
    visible = segments[:, None, :, None] == segments[:, None, None, :]
    training = model.training
    model.eval()
    with torch.no_grad(), _products_in(setting.recipe, setting.device):
        hidden = model.bert(inputs, attention_mask=visible, position_ids=position_ids).last_hidden_state
        logits = model.cls(hidden[torch.arange(rows, device=setting.device)[:, None], positions])
    model.train(training)
    return logits.float().cpu()


def _positions(segments: np.ndarray) -> np.ndarray:
    """int64 [n, L]: each token's place in its segment."""
    index = np.broadcast_to(np.arange(segments.shape[1]), segments.shape)
    starts = np.diff(segments, axis=-1, prepend=0) > 0
    return index - np.maximum.accumulate(np.where(starts, index, 0), axis=-1)
