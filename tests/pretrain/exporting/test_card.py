"""The model card says what checkpoint and manifest hold of a run, and `unknown` where they hold nothing."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_run import changed

from data_pipeline.contract.errors import InputError
from data_pipeline.contract.licences import licence_lines
from data_pipeline.contract.recipe_fields import is_free
from data_pipeline.contract.recipe_file import plain
from data_pipeline.contract.records import read_header
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.recipe import DataRecipe, Source
from pretrain.checkpoints.base_model import with_base_model
from pretrain.checkpoints.provenance import licences
from pretrain.checkpoints.verify import facts_of, step_folder
from pretrain.commands import export as export_command
from pretrain.exporting.card import model_card
from pretrain.exporting.export import export
from pretrain.hugging_face.folder import hub_id_of, licences_of
from pretrain.recipe import TrainingRecipe, training_recipe_from_plain
from pretrain.recipe_upgrade import plain_recipe
from pretrain.train import train

pytestmark = pytest.mark.usefixtures("shared_programs")
DATA = DataRecipe(sources=(Source("text", "a.txt", name="letters", licence="CC0"),))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is other tests' business."""
    monkeypatch.setattr("pretrain.exporting.export.prove", lambda *_: "not proven")


def prepared(run: RunFolder, data: DataRecipe = DATA, **facts: Any) -> None:
    """Writes what prepare says of a run."""
    header = read_header(run.examples)
    records = {"fingerprint": header.fingerprint, "rows": header.rows, "tokens": header.tokens}
    section = {"recipe": plain(data), "records": records, "other_records": {}, **facts}
    run.record("prepare", section)


def card_of(run: RunFolder, step: int | None = None) -> str:
    to = run.path.parent / f"exported-{step}"
    export(run, step, to)
    return (to / "README.md").read_text(encoding="utf-8")


def metadata(card: str) -> dict[str, str]:
    return dict(re.findall(r"^(license|base_model): (.*)$", card, re.MULTILINE))


ACCOUNT = {
    "sources": ["letters: 3 records read, 2 documents and 5 sentences (0.1 MB) kept; for evaluation only"],
    "steps": ["sentences split with KSS 1.3.1", "personal data replaced. Replaced: email (1,005)"],
    "vocabulary": "given (their-bert)",
}


def test_the_data_sides_account_is_printed_as_it_stands(run: RunFolder) -> None:
    prepared(run, account=ACCOUNT)
    card = card_of(run)
    assert f"\n\n- {ACCOUNT['sources'][0]}\n\nAfter preprocessing: " in card
    assert "## Preprocessing\n\n" + "\n".join(f"- {sentence}" for sentence in ACCOUNT["steps"]) + "\n" in card
    # What the tokenizer is, its own files say: here a cased WordPiece, whatever the recipe.
    assert "## Tokenizer\n\nWordPiece, cased, 200 entries, given (their-bert)." in card
    assert "Load it with `AutoTokenizer`: one of `vocab.txt` alone" in card


def test_of_a_run_of_code_that_gave_no_account_the_card_guesses_nothing(run: RunFolder) -> None:
    prepared(run)
    card = card_of(run)
    assert "## Preprocessing\n\n- unknown: the run was prepared by code that gave no account of it" in card
    assert "WordPiece, cased, 200 entries, made from: unknown" in card


def test_a_run_from_scratch_has_no_base_model_and_the_licence_of_its_text(run: RunFolder) -> None:
    prepared(run)
    card = card_of(run)
    assert "Pretrained from scratch with masked language modelling in JAX" in card
    assert metadata(card) == {"license": "cc0-1.0"}
    assert "## Base model" not in card


@pytest.mark.parametrize(
    ("corpora", "base", "licence"),
    [
        (["CC0"], "cc0-1.0", "cc0-1.0"),
        (["CC0"], "apache-2.0", "other"),
        (["CC0"], None, "unknown"),
        (["unknown"], "apache-2.0", "unknown"),
        (["CC0", "MIT"], "mit", "other"),
        (["agreement"], "agreement", "other"),
    ],
)
def test_a_run_that_continues_another_model_names_it_and_counts_its_licence_in(
    corpora: list[str],
    base: str | None,
    licence: str,
    trained: RunFolder,
    tiny: TrainingRecipe,
    new_run: Callable[..., RunFolder],
    tmp_path: Path,
) -> None:
    start = tmp_path / "their-bert"
    export(trained, None, start)
    (start / "README.md").write_text("---\nlanguage: ko\n" + (f"license: {base}\n" if base else "") + "---\n# Theirs\n")
    run = new_run()
    train(run, "tiny", changed(tiny, start_from=(str(start),), max_steps=3, stop_at_step=1, evaluation={"rows": 0}))
    prepared(run, changed(DATA, sources=tuple(Source("text", "a", licence=each) for each in corpora)))
    card = card_of(run)
    assert "Continued from `their-bert` with masked language modelling" in card
    assert "from scratch" not in card
    assert f"## Base model\n\n`their-bert`; its licence: {base or 'unknown'}," in card
    assert str(tmp_path) not in card
    # The hub refuses paths there, so that the place is named in a comment.
    assert metadata(card) == {"license": licence}
    assert "\n# base_model: the id on the hub of their-bert\n" in card


def test_a_copy_from_the_hub_is_the_base_model_by_its_id(
    trained: RunFolder, tiny: TrainingRecipe, new_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    start = tmp_path / "hub" / "models--klue--bert-base" / "snapshots" / "0123abc"
    export(trained, None, start)
    run = new_run()
    train(run, "tiny", changed(tiny, start_from=(str(start),), max_steps=3, stop_at_step=1, evaluation={"rows": 0}))
    card = card_of(run)
    assert metadata(card)["base_model"] == "klue/bert-base"
    assert "Continued from `klue/bert-base`" in card


@pytest.fixture
def continued(trained: RunFolder, tiny: TrainingRecipe, new_run: Callable[..., RunFolder], tmp_path: Path) -> RunFolder:
    """A run on CC0 text that began with a folder whose card tells no licence."""
    start = tmp_path / "their-bert"
    export(trained, None, start)
    (start / "README.md").unlink()
    run = new_run("continued")
    train(run, "tiny", changed(tiny, start_from=(str(start),), max_steps=3, stop_at_step=1, evaluation={"rows": 0}))
    prepared(run)
    return run


def test_the_licence_of_a_start_is_asked_for_told_and_remembered(
    continued: RunFolder, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = (
        "the licence of their-bert, which the run began with, is not known, and the card says so: export again with "
        "--base-licence apache-2.0 if that is its licence, and with --base-model klue/bert-base if that is its id on the hub"
    )
    monkeypatch.chdir(continued.path.parent)
    card = Path(continued.path.name, "export", "README.md")
    for _ in range(2):
        export_command.run([continued.path.name])
        assert f"{card.parent}: {asked}" in caplog.messages
        caplog.clear()
    data = hub.ModelCard(card.read_text(encoding="utf-8")).data
    assert (data.license, data.base_model) == ("unknown", None)
    export_command.run([continued.path.name, "--base-licence", "cc-by-sa-4.0", "--base-model", "klue/bert-base"])
    data = hub.ModelCard(card.read_text(encoding="utf-8")).data
    assert (data.license, data.license_name) == ("other", "cc0-and-cc-by-sa-4.0")
    assert data.base_model == "klue/bert-base"
    assert "`klue/bert-base`; its licence: cc-by-sa-4.0," in card.read_text(encoding="utf-8")
    with caplog.at_level("INFO", "pretrain"):
        export_command.run([continued.path.name])
    assert "step 1 is there already" in caplog.text
    export_command.run([continued.path.name, "--to", "other"])
    assert Path("other/README.md").read_text(encoding="utf-8") == card.read_text(encoding="utf-8")
    assert "licence" not in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--base-model", "/home/me/their bert"],
            "--base-model /home/me/their bert: is no id of the hub; give one such as",
        ),
        (
            ["--base-licence", "mit\nother: x"],
            r"--base-licence 'mit\nother: x': a licence is one line, such as apache-2.0",
        ),
    ],
)
def test_what_can_be_no_id_or_licence_is_refused(flags: list[str], said: str, continued: RunFolder) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        export_command.run([str(continued.path), *flags])


def test_what_is_told_of_a_start_must_be_asked_for(run: RunFolder, continued: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--base-licence: this run did not begin with a trained model"):
        export_command.run([str(run.path), "--base-licence", "mit"])
    facts = facts_of(step_folder(continued.checkpoints, 1))
    facts["started_from"]["licences"] = ["mit"]
    with pytest.raises(InputError, match=r"--base-licence apache-2\.0: its own card says mit; leave the flag out"):
        with_base_model(facts, {"licence": "apache-2.0"})


@pytest.mark.parametrize(
    ("notes", "found"),
    [
        (["CC BY-SA 4.0"], ["license: cc-by-sa-4.0"]),
        (["CC0", "cc0-1.0"], ["license: cc0-1.0"]),
        (["gpl-3.0"], ["license: gpl-3.0"]),
        (["llama-of-mine"], ["license: other", "license_name: llama-of-mine"]),
        (["MIT", "unknown"], ["license: unknown"]),
    ],
)
def test_licence_notes_become_identifiers_of_the_hub(notes: list[str], found: list[str]) -> None:
    assert licence_lines(notes) == found


def test_a_start_from_a_run_has_the_licences_of_its_text_and_of_its_own_start(
    run: RunFolder, tiny: TrainingRecipe, new_run: Callable[..., RunFolder]
) -> None:
    prepared(run)
    second, third = new_run("second"), new_run("third")
    for later, start, licence in ((second, run, "MIT"), (third, second, "agreement")):
        train(
            later,
            "tiny",
            changed(tiny, start_from=(str(start.path),), max_steps=3, stop_at_step=1, evaluation={"rows": 0}),
        )
        prepared(later, changed(DATA, sources=(Source("text", "a", licence=licence),)))
    assert licences(facts_of(step_folder(third.checkpoints, 1)), third) == ("agreement", "MIT", "CC0")
    assert "`second`; its licence: MIT, CC0, which" in card_of(third)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("---\nlicense: mit\n---\n", ("mit",)),
        ('---\nlanguage: ko\nlicense: "cc-by-sa-4.0"\ntags:\n- x\n---\n', ("cc-by-sa-4.0",)),
        ("---\nlicense:\n- mit\n- apache-2.0\ntags:\n- x\n---\n", ("mit", "apache-2.0")),
        ("---\nlicense:\n---\n", ("unknown",)),
        ("---\ntags:\n- mit\n---\nlicense: mit\n", ("unknown",)),
        ("# A card without metadata\n", ("unknown",)),
        (None, ("unknown",)),
    ],
)
def test_a_folders_licence_is_what_its_card_says(text: str | None, found: tuple[str, ...], tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    assert licences_of(tmp_path) == found


def test_only_a_path_in_the_hubs_cache_tells_an_id() -> None:
    assert hub_id_of("/x/models--klue--bert-base/snapshots/1") == "klue/bert-base"
    assert hub_id_of("/x/models--gpt2/snapshots/1") == "gpt2"
    assert hub_id_of("klue/bert-base") == hub_id_of("gs://bucket/runs/a") == ""


def test_the_card_of_an_earlier_checkpoint_tells_of_that_one(run: RunFolder) -> None:
    early, late = (facts_of(step_folder(run.checkpoints, step)) for step in (2, 4))
    assert early["tokens_seen"] < late["tokens_seen"]
    for step, facts in ((2, early), (4, late)):
        assert f"- {step} of 4 steps of 16 rows; tokens seen: {facts['tokens_seen']:,}\n" in card_of(run, step)


def test_the_card_has_what_probes_measured_last(run: RunFolder) -> None:
    assert "## Probes" not in card_of(run)
    lines = [
        {"step": 1, "probe/nsmc": 0.5, "pseudo_perplexity": 900.0},
        {"step": 2, "probe/nsmc": 0.64216, "pseudo_perplexity": None},
        {"step": 4, "probe/nsmc": 0.7},
    ]
    with (run.metrics / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    told = card_of(run, 2)
    assert "| `probe/nsmc` | 0.6422 | 2 |\n" in told
    assert "| `pseudo_perplexity` | 900.0000 | 1 |\n" in told


def test_a_run_that_has_not_ended_has_a_card_too(run: RunFolder) -> None:
    """A start that was killed, or that is still at work, has not written the manifest's section `train`."""
    manifest = run.manifest()
    del manifest["train"]
    run.manifest_path.write_text(json.dumps(manifest))
    card = card_of(run)
    assert "A Korean BERT of 2 layers, 32 wide" in card
    assert re.search(r"devices: 8 x cpu\n- hours of training: 0\.\d\d\n", card)
    assert "code version unknown" not in card


def test_an_account_of_other_records_is_not_taken_for_the_checkpoints(run: RunFolder) -> None:
    prepared(run, records={"fingerprint": "prepared again", "rows": {"train": 9}, "tokens": {"train": 99_999}})
    card = card_of(run)
    assert "## Preprocessing\n\n- unknown" in card
    assert "| unknown | unknown |" in card
    assert "entries, made from: unknown" in card
    assert metadata(card)["license"] == "unknown"
    header = read_header(run.examples)
    assert f"After preprocessing: {header.tokens['train']:,} tokens in {header.rows['train']:,} rows." in card


def test_a_run_without_any_account_says_unknown(run: RunFolder) -> None:
    card = card_of(run)
    assert card.count("unknown") > 10
    assert "not detected" not in card
    assert "morphemes" not in card


def test_settings_that_are_not_usual_are_told(
    tiny: TrainingRecipe, new_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run()
    switches = {"bias_correction": False, "decay_from": "start"}
    recipe = changed(tiny, max_steps=3, stop_at_step=1, evaluation={"rows": 0}, optimizer=switches)
    train(
        run, "tiny", changed(recipe, model={"exported_dropout": 0.2}, objective={"masking": {"replace_unit": "word"}})
    )
    card = card_of(run)
    assert "linear decay counted from step 0, weight decay 0.01, betas 0.9 and 0.999 without bias correction" in card
    assert "10% replaced at random, all pieces of a word alike" in card
    assert "config.json names the dropout of fine-tuning, 0.2, and not that of pretraining." in card


@pytest.mark.parametrize(
    ("licences", "found"),
    [
        (("CC0",), "license: cc0-1.0"),
        (("CC0", "MIT"), "license: other\nlicense_name: cc0-and-mit"),
        (("공공누리 1유형",), "license: other\nlicense_name: see-training-text"),
        (("이용 허락",), "license: other\nlicense_name: see-training-text"),
        (("MIT", "unknown"), "license: unknown"),
    ],
)
def test_the_hub_takes_the_metadata(licences: tuple[str, ...], found: str, run: RunFolder) -> None:
    hub = pytest.importorskip("huggingface_hub")
    globs = [
        "hf://datasets/klue/klue/x/*.parquet",
        "data/a.txt",
        "hf://datasets/klue/klue/y",
        "hf://datasets/wikimedia/wikipedia/z",
    ]
    sources = [
        Source("text", glob, name=f"{number}", licence=licences[number % len(licences)])
        for number, glob in enumerate(globs)
    ]
    prepared(run, changed(DATA, sources=tuple(sources)))
    card = card_of(run)
    assert f"\n{found}\n" in card
    data = hub.ModelCard(card).data
    assert (data.datasets, data.license) == (["klue/klue", "wikimedia/wikipedia"], found.split("\n")[0].split(": ")[1])
    if data.license == "other":
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", data.license_name)


def test_what_is_for_evaluation_only_is_marked_and_the_loss_says_its_step(run: RunFolder) -> None:
    held_out = Source("text", "b.txt", name="held", evaluation_fraction=1.0)
    prepared(run, changed(DATA, sources=(*DATA.sources, held_out)))
    with (run.metrics / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 1, "evaluation_loss": 5.0, "evaluation_masked_lm_loss": 5.0}) + "\n")
    card = card_of(run, 2)
    assert "| letters | text |  | CC0 | 1 |\n| held | text |  | unknown | evaluation only |" in card
    assert re.search(r"- held-out masked-LM loss: \S+; .* \(at step 1\)\n", card)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each field of a training recipe that binds a run, with another value of it alone."""
    for field in dataclasses.fields(value):
        if is_free(field):
            continue
        own, name = getattr(value, field.name), f"{path}{field.name}"
        if dataclasses.is_dataclass(own):
            yield from ((below, changed(value, **{field.name: each})) for below, each in leaves(own, f"{name}."))
        elif isinstance(own, bool):
            yield name, changed(value, **{field.name: not own})
        elif isinstance(own, int | float):
            yield name, changed(value, **{field.name: own * 2 or 0.5})


def test_every_setting_of_objective_start_and_optimizer_changes_the_card(run: RunFolder) -> None:
    card_of(run)
    *_, record = run.manifest()["export"]["folders"].values()  # the run that is copied was exported by other tests
    saved = facts_of(step_folder(run.checkpoints, 4))

    def card(recipe: TrainingRecipe) -> str:
        return model_card("name", {}, {**saved, "recipe": plain_recipe(recipe)}, record["facts"])

    recipe = training_recipe_from_plain(saved["recipe"])
    told = card(recipe)
    found = dict(leaves(recipe))
    assert {"optimizer.beta2", "objective.masking.rate", "batch_warmup.steps", "seed"} <= found.keys()
    silent = {name for name, other in found.items() if card(other) == told}
    # What a model's config says, config.json tells; momentum is Muon's.
    assert {name for name in silent if not name.startswith("model.")} == {"optimizer.momentum"}
