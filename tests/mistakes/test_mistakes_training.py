"""Wrong recipes, flags, records and run folders for train: one sentence, nothing lost, and the same losses after the mend."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import (
    RECIPE,
    RECIPE_FILE,
    WORK_FAILED,
    WRONG_INPUT,
    documents,
    prepare_command,
    process_environment,
    snapshot,
    write_json_lines,
)
from training_runs import EXPORT, TRAIN, Run, cut, exported, fails, flip_bit, losses

from data_pipeline.contract.tokenizer import hugging_face_files

HELP = r"; `python -m pretrain train --help` lists every flag"


def completes(run: Run, never_failed: Path) -> None:
    """Train does its work now, with the losses of a run that never failed."""
    run(*TRAIN).success()
    assert losses(Path("run")) == losses(never_failed / "run")


FLAGS = [
    (("--training.max-step", "3"), r"--training.max-step: no such flag; did you mean --training.max-steps\?" + HELP),
    (("--training.max-steps", "many"), r"--training.max-steps many: must be INT" + HELP),
    (
        ("--training.compute-dtype", "float64"),
        r"--training.compute-dtype float64: must be one of 'bfloat16', 'float32'" + HELP,
    ),
    (("--training.seed",), r"--training.seed: its value is missing" + HELP),
    (("--training.global-batch-size", "12"), r"--training.global-batch-size 12: cannot be divided by --training.accumulation 1 x 8 devices .* make it a multiple of 8"),
    (("--training.accumulation", "3"), r"--training.global-batch-size 8: cannot be divided by --training.accumulation 3 x 8 devices .* make it a multiple of 24"),
    (("--training.mesh.data", "3"), r"--training.mesh.data 3 x --training.mesh.fsdp 1 x --training.mesh.tensor 1 is 3, but there are 8 devices; set one of them to -1"),
    (("--training.mesh.data", "-1", "--training.mesh.fsdp", "-1"), r"--training.mesh.data and --training.mesh.fsdp are both -1; only one can take what is left"),
    (("--training.mesh.fsdp", "3"), r"--training.mesh.fsdp 3 x --training.mesh.tensor 1: 8 devices cannot be divided by 3; change one of them"),
    (("--training.mesh.tensor", "4"), r"--training.model.num-attention-heads 2: cannot be divided over --training.mesh.tensor 4; choose one that divides it"),
    (
        ("--training.mesh.tensor", "2", "--training.model.intermediate-size", "33"),
        r"\S+/intermediate/dense/bias: dimension 1 of 33 cannot be divided over 2 devices; choose another --training.mesh.tensor \(--hardware.mesh.tensor for a trained model\)",
    ),
    (("--training.model.num-attention-heads", "3"), r"--training.model.hidden-size 32: must be a multiple of --training.model.num-attention-heads 3; change one of them"),
    (("--training.model.vocab-size", "1000"), r"--training.model.vocab-size 1000: the records have 220; leave it unset"),
    (
        ("--training.model.max-position-embeddings", "32"),
        r"--training.model.max-position-embeddings 32: the records' rows have 64 tokens; set it to 64 or more, or prepare shorter examples",
    ),
    (("--training.optimizer.warmup-steps", "4"), r"--training.optimizer.warmup-steps 4: must be below --training.max-steps 4; change one of them, or .*"),
    (("--training.stop-at-step", "5"), r"--training.stop-at-step 5: must be 1 to --training.max-steps 4"),
    (("--training.seed", "-1"), r"--training.seed -1: must be 0 to 4294967295"),
    (("--training.model.num-hidden-layers", "0"), r"--training.model.num-hidden-layers 0: must be 1 or more"),
    (("--training.model.hidden-size", "-4"), r"--training.model.hidden-size -4: must be 1 or more"),
    (("--training.model.hidden-dropout-prob", "1"), r"--training.model.hidden-dropout-prob 1.0: must be 0 or more and below 1"),
    (("--training.model.layer-norm-eps", "0"), r"--training.model.layer-norm-eps 0.0: must be above 0"),
    (("--training.objective.masking.rate", "1.5"), r"--training.objective.masking.rate 1.5: must be above 0 and at most 1"),
    (("--training.objective.masking.max-predictions", "65"), r"--training.objective.masking.max-predictions 65: must be 1 to 64, the tokens of a row"),
    (
        ("--training.objective.masking.mask-share", "0.9", "--training.objective.masking.random-share", "0.5"),
        r"--training.objective.masking.mask-share 0.9 and --training.objective.masking.random-share 0.5: must be at least 0 and sum to at most 1",
    ),
    (("--training.optimizer.learning-rate", "nan"), r"--training.optimizer.learning-rate nan: must be 0 or more"),
    (("--training.evaluation.rows", "-3"), r"--training.evaluation.rows -3: must be 0 or more"),
    (("--training.max-steps", "0"), r"--training.max-steps 0: must be 1 or more"),
]  # fmt: skip


def test_flags_that_cannot_be_are_refused_and_leave_nothing(
    prepared: Path, run_command_line: Run, never_failed: Path
) -> None:
    for flags, message in FLAGS:
        fails(run_command_line, (*TRAIN, *flags), message)
    completes(run_command_line, never_failed)


def edited(old: str, new: str) -> tuple[str, int]:
    """The recipe with one thing changed, and the line where it is."""
    before, after = RECIPE.split(old)
    return before + new + after, before.count("\n") + 1


RECIPES = [
    (edited("max_steps=4,", "max_steps=4,,"), r"tiny.py:{line}: invalid syntax; mend the recipe"),
    (
        edited("training = TrainingRecipe(", "trainig = TrainingRecipe("),
        r"tiny.py: must define training = TrainingRecipe\(...\)",
    ),
    (edited("max_steps=4", "max_step=4"), r"tiny.py:\d+: .*'max_step'.* \(did you mean max_steps\?\); mend the recipe"),
    (
        edited("max_steps=4", "max_steps='4'"),
        r"tiny.py:{line}: training.max_steps must be a whole number \(int\), found '4' \(str\); mend the recipe",
    ),
    (
        edited("learning_rate=1e-3", "learning_rate='1e-3'"),
        r"tiny.py:{line}: training.optimizer.learning_rate must be a number \(float\), found '1e-3' \(str\); mend .*",
    ),
    (edited("max_steps=4", "max_steps=-4"), r"--training.max-steps -4: must be 1 or more"),
]


def test_a_recipe_file_that_cannot_be_is_named_with_its_line(
    prepared: Path, run_command_line: Run, never_failed: Path
) -> None:
    for (content, line), message in RECIPES:
        Path(RECIPE_FILE).write_text(content)
        fails(run_command_line, TRAIN, message.replace("{line}", str(line)))
    Path(RECIPE_FILE).unlink()
    fails(run_command_line, TRAIN, r"tiny.py: no such recipe; give configs/NAME.py or one of: .*mini-bert.*")
    fails(run_command_line, TRAIN[:2], r"RECIPE must be the first argument: python -m pretrain train RECIPE \.\.\.")
    Path(RECIPE_FILE).write_text(RECIPE)
    completes(run_command_line, never_failed)


def moved(path: str) -> Callable[[], object]:
    """Takes a file or folder away; the function returned puts it back."""
    shutil.move(path, "taken-away")
    return lambda: shutil.move("taken-away", path)


def test_a_run_folder_that_is_not_prepared_is_named(prepared: Path, run_command_line: Run, never_failed: Path) -> None:
    no_run = r"{}: not a run folder \(it has no manifest.json\); give the --run-dir of an earlier prepare"
    fails(run_command_line, (*TRAIN[:3], "--run-dir", "nowhere"), no_run.format("nowhere"))
    fails(run_command_line, TRAIN[:3], no_run.format("runs/tiny"))
    unfinished = r"run/examples: holds no finished records; run `python -m data_pipeline prepare` first"
    for missing, message in (
        ("run/manifest.json", r"run: not prepared to the end; run `python -m data_pipeline prepare` again"),
        ("run/examples/header.json", unfinished),
        ("run/examples", unfinished),
        ("run/vocabulary", r"run/vocabulary: not the tokenizer files with which the records were made; .*"),
    ):
        put_back = moved(missing)
        fails(run_command_line, TRAIN, message)
        put_back()
    completes(run_command_line, never_failed)


def shard(split: str) -> Path:
    return sorted(Path("run/examples").glob(f"*-{split}.*"))[0]


def not_whole(split: str) -> str:
    return (
        rf"run/examples: the {split} shards hold \d+ bytes instead of \d+; run `python -m data_pipeline prepare` again"
    )


HEADER = "run/examples/header.json"
CANNOT_BE_OPENED = r"run/examples: records cannot be opened \(.*\); remove the folder and prepare again"


@pytest.mark.parametrize(
    ("damage", "message", "to_remove"),
    [
        (lambda: cut(shard("train")), not_whole("train"), None),
        (lambda: cut(shard("evaluation")), not_whole("evaluation"), None),
        (lambda: shard("train").unlink(), CANNOT_BE_OPENED, "run/examples"),
        (lambda: cut(Path("run/examples/features.json")), CANNOT_BE_OPENED, "run/examples"),
        (lambda: cut(Path(HEADER)), HEADER + r": not readable as JSON \(.*\); restore it or remove it and run again", HEADER),
        (lambda: Path(HEADER).write_text("[]"), r"run/examples: records of format None, .*; prepare them again", None),
        (lambda: Path(HEADER).write_text('{"format_version": 1}'), HEADER + r": damaged \(.*\); remove run/examples and .*", "run/examples"),
    ],
    ids=["train shard cut", "evaluation shard cut", "shard missing", "features cut", "header cut", "no header", "empty header"],
)  # fmt: skip
def test_records_that_are_not_whole_are_refused_and_come_back_by_what_the_sentence_says(
    prepared: Path,
    run_command_line: Run,
    never_failed: Path,
    damage: Callable[[], object],
    message: str,
    to_remove: str | None,
) -> None:
    damage()
    fails(run_command_line, TRAIN, message)
    if to_remove:
        remove(to_remove)
    run_command_line(*prepare_command()).success()
    assert snapshot(Path("run/examples")) == snapshot(never_failed / "run" / "examples")


def remove(path: str) -> None:
    shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


@pytest.mark.parametrize(("split", "byte"), [("train", 1000), ("evaluation", 200)])
def test_a_flipped_bit_in_a_record_is_never_trained_on(
    prepared: Path, run_command_line: Run, never_failed: Path, split: str, byte: int
) -> None:
    damaged = shard(split)
    flip_bit(damaged, byte)
    sentence = run_command_line(*TRAIN).sentence(WRONG_INPUT)
    assert re.fullmatch(
        rf"{damaged}: damaged \(.*hash mismatch.*\); restore it from a copy, or remove run/examples and run/corpus/records "
        "and prepare again",
        sentence,
    ), sentence
    began = Path("run/metrics/metrics.jsonl").exists()  # held-out rows are read before the first step
    before = losses(Path("run")) if began else []
    assert before == losses(never_failed / "run")[: len(before)], "what was trained before is not what it should be"
    remove("run/examples")
    remove("run/corpus/records")
    run_command_line(*prepare_command()).success()
    completes(run_command_line, never_failed)


def test_a_vocabulary_that_is_not_the_records_is_refused_by_all_who_need_it(
    trained: Path, run_command_line: Run, never_failed: Path
) -> None:
    rows = Path("run/vocabulary/vocab.txt").read_text(encoding="utf-8").splitlines()
    others = hugging_face_files([*rows[:10], *reversed(rows[10:])], lowercase=False)
    for name, content in others.items():
        Path("run/vocabulary", name).write_text(content, encoding="utf-8")
    message = (
        r"run/vocabulary: not the tokenizer files with which the records were made; restore them from a copy, "
        r"or run `python -m data_pipeline prepare` again"
    )
    inspections = (("pretrain", "inspect", "run"), ("data_pipeline", "inspect", "run"))
    for command in (TRAIN, EXPORT, (*EXPORT, "--to", "elsewhere"), *inspections):
        fails(run_command_line, command, message)
    run_command_line(*prepare_command()).success()
    completes(run_command_line, never_failed)
    run_command_line(*EXPORT).success()
    assert exported(Path("run/export")) == exported(never_failed / "run" / "export")


def test_a_run_of_another_recipe_or_other_records_is_refused_with_what_differs(
    prepared: Path, run_command_line: Run, never_failed: Path
) -> None:
    run_command_line(*TRAIN, "--training.stop-at-step", 2).success()
    another = r"the checkpoint of step 2 belongs to another recipe: {}; set these back, or choose another --run-dir for a new run"
    flags = ("--training.seed", 1, "--training.optimizer.learning-rate", 0.01)
    fails(run_command_line, (*TRAIN, *flags), another.format(r"optimizer.learning_rate: 0.001 -> 0.01; seed: 0 -> 1"))
    Path(RECIPE_FILE).write_text(RECIPE.replace("max_steps=4", "max_steps=8"))
    fails(run_command_line, TRAIN, another.format("max_steps: 4 -> 8"))
    Path(RECIPE_FILE).write_text(RECIPE)

    put_back = moved("corpus")
    write_json_lines(Path("corpus/other.jsonl"), documents(40, seed=9))
    run_command_line(*prepare_command()).success()
    sentence = run_command_line(*TRAIN).sentence(WRONG_INPUT)
    assert re.fullmatch(
        r"the checkpoint of step 2 belongs to other records: fingerprint \w{12} -> \w{12}; restore the examples, or choose "
        "another --run-dir for a new run",
        sentence,
    ), sentence
    remove("corpus")
    put_back()
    run_command_line(*prepare_command()).success()
    run_command_line(*TRAIN).success()
    after = [[line for line in losses(run) if line["step"] > 2] for run in (Path("run"), never_failed / "run")]
    assert after[0] == after[1]


HOLDER = """
import sys
from data_pipeline.contract.run_folder import RunFolder
with RunFolder("run").locked():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_folder_in_use_names_the_process(prepared: Path, run_command_line: Run, never_failed: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=process_environment(),
    )  # fmt: skip
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        message = rf"run: in use by process {holder.pid}; wait for it, stop it, or choose another --run-dir"
        fails(run_command_line, TRAIN, message, WORK_FAILED)
    finally:
        holder.stdin.close()
        holder.wait(timeout=30)
    completes(run_command_line, never_failed)
