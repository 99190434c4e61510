"""From raw text to records: the same bytes whatever happens on the way, and nothing lost, doubled or bridged."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from prepared_runs import done_records, results, run

import data_pipeline.prepare.publish
from data_pipeline.contract.errors import InputError
from data_pipeline.contract.records import (
    Layout,
    Records,
    folder_of_length,
    from_bitmap,
    read_header,
    records_folders,
    source_names,
)
from data_pipeline.contract.run_folder import RunFolder
from data_pipeline.contract.storage import read_json
from data_pipeline.contract.tokenizer import Tokenizer
from data_pipeline.corpus.corpus_files import SplitDocument, read_sentences
from data_pipeline.corpus.stages.sentences import split_of
from data_pipeline.corpus.tally import total_dropped
from data_pipeline.recipe import (
    Causal,
    Clean,
    DataRecipe,
    Decontamination,
    Examples,
    FullSentences,
    NearDuplicates,
    Packed,
    SentenceOrder,
    SentencePairs,
    Source,
    SourceTarget,
    Vocabulary,
)
from data_pipeline.report.inspect import segments

MakeRecipe = Callable[..., DataRecipe]
MakeDocument = Callable[..., str]
JsonLines = Callable[[Path, list[str]], Path]


LAYOUTS: tuple[Examples, ...] = (
    Packed(64),
    FullSentences(64),
    SentencePairs(64, random_next=0.2),
    SentenceOrder(64),
    Causal(64),
    SourceTarget(64, 64),
)


def survivors(folder: RunFolder) -> list[SplitDocument]:
    records = sorted(folder.corpus.glob("sentences/done/*.json"))
    return [
        document
        for record in records
        for document in read_sentences(
            str(folder.corpus / "sentences/data" / read_json(record)["attempt"] / "part.zst")
        )
    ]


def texts_of_segments(folder: RunFolder, split: str = "train") -> list[tuple[int, str]]:
    """(row, text) of each segment."""
    records, tokenizer = Records(folder.examples, split), Tokenizer(folder.vocabulary)
    rows = records.read(range(len(records)))
    return [
        (index, tokenizer.backend.decode(tokens[segment].tolist(), skip_special_tokens=False))
        for index, tokens in enumerate(rows["tokens"])
        for segment in segments(tokens, from_bitmap(rows["segment_starts"][index]), records.header)
    ]


@pytest.fixture(scope="module")
def recipe(corpus: Path, tiny_recipe: MakeRecipe) -> DataRecipe:
    return tiny_recipe(corpus / "part-*.jsonl")


@pytest.fixture(scope="module")
def unbroken(recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with one worker that nothing disturbed; read only."""
    return run(tmp_path_factory.mktemp("unbroken"), recipe)


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_do_not_change_a_byte(workers: int, unbroken: RunFolder, recipe: DataRecipe, tmp_path: Path) -> None:
    assert results(run(tmp_path, recipe, workers=workers).path) == results(unbroken.path)


def test_every_layout_and_length_has_the_same_bytes_on_any_number_of_workers(
    recipe: DataRecipe, tmp_path: Path
) -> None:
    assert {examples.layout for examples in LAYOUTS} == set(get_args(Layout))
    for examples in LAYOUTS:
        chosen = replace(recipe, examples=examples, other_lengths=(32, 128))
        found = [results(run(tmp_path / str(workers), chosen, workers).path) for workers in (1, 2)]
        assert found[0] == found[1]
        assert {"examples/header.json", "examples/32/header.json", "examples/128/header.json"} < found[0].keys()


def test_the_rows_of_each_length_are_those_of_a_run_of_that_length_alone(recipe: DataRecipe, tmp_path: Path) -> None:
    both = run(tmp_path, replace(recipe, examples=SentencePairs(64), other_lengths=(128,)))
    headers = [read_header(folder_of_length(both.examples, length)) for length in (64, 128)]
    assert [header.length for header in headers] == [64, 128]
    facts = both.manifest()["prepare"]
    assert facts["records"]["fingerprint"] == headers[0].fingerprint
    assert facts["other_records"]["128"]["rows"] == headers[1].rows
    with pytest.raises(
        InputError, match=r"no records of length 32 \(there are: 64, 128\); .* --data\.other-lengths 32"
    ):
        folder_of_length(both.examples, 32)
    for header in headers:
        alone = run(tmp_path, replace(recipe, examples=SentencePairs(header.length)))
        assert read_header(alone.examples) == header
        assert records_folders(alone.examples) == [alone.examples]


def test_headers_tell_the_rows_of_each_source(
    corpus: Path, tmp_path: Path, tiny_recipe: MakeRecipe, document: MakeDocument, json_lines: JsonLines
) -> None:
    """They are those that the source gives alone, and they stand where the header says."""
    other = json_lines(tmp_path / "other.jsonl", [document(1000 + seed) for seed in range(60)])
    recipe = replace(tiny_recipe(corpus / "*.jsonl", other), other_lengths=(32,))
    both = run(tmp_path / "both", recipe)
    vocabulary = Vocabulary(given=str(both.vocabulary))
    for length in (64, 32):
        headers = [read_header(folder_of_length(both.examples, length))]
        for source in recipe.sources:
            one = replace(recipe, sources=(source,), vocabulary=vocabulary)
            alone = run(tmp_path / source.name, one)
            headers.append(read_header(folder_of_length(alone.examples, length)))
            assert headers[-1].sources == {split: ((source.name, rows),) for split, rows in headers[-1].rows.items()}
        whole, *parts = headers
        assert whole.sources.keys() == whole.rows.keys() == {"train", "evaluation"}
        for split, sources in whole.sources.items():
            assert sources == tuple(
                (source.name, part.rows[split]) for source, part in zip(recipe.sources, parts, strict=True)
            )
            records = Records(folder_of_length(both.examples, length), split)
            last = Records(folder_of_length(tmp_path / recipe.sources[-1].name / "examples", length), split)
            stored = [row for row in range(len(records)) if source_names(sources, np.array([row])) == ["source-1"]]
            assert np.array_equal(records.read(stored)["tokens"], last.read(range(len(last)))["tokens"])


def test_a_second_run_does_nothing_again(recipe: DataRecipe, tmp_path: Path) -> None:
    run(tmp_path, recipe)
    before, bytes_before = done_records(tmp_path), results(tmp_path)
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "examples").iterdir()}
    assert len(before) == 3 + 1 + 3 + 1 + 1 + 1 + 3 + 3 + 3 + 1 + 1 + 3
    run(tmp_path, recipe, workers=2)
    assert done_records(tmp_path) == before
    assert results(tmp_path) == bytes_before
    assert {path: path.stat().st_mtime_ns for path in shards} == shards


def test_a_moved_run_is_still_done(recipe: DataRecipe, tmp_path: Path) -> None:
    run(tmp_path / "here", recipe)
    before = done_records(tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copy2)
    shutil.rmtree(tmp_path / "here")
    run(tmp_path / "there", recipe)
    assert done_records(tmp_path / "there") == before


def test_counts_reconcile_down_to_the_tokens(unbroken: RunFolder) -> None:
    report = read_json(unbroken.corpus / "report.json")
    documents, sentences, records = report["documents"], report["sentences"], report["records"]
    assert documents["records"] == documents["documents"] + total_dropped(documents, "documents") == 120
    assert sentences["documents_in"] == documents["documents"]
    assert sentences["documents"] == len(survivors(unbroken)) == records["documents"]
    assert sentences["sentences"] == sum(len(document.sentences) for document in survivors(unbroken))
    header = read_header(unbroken.examples)
    number = sum(len(texts_of_segments(unbroken, split)) for split in header.rows)
    assert sum(header.tokens.values()) == records["tokens"] + 2 * number
    assert sum(records["by_length"]["64"]["segment_lengths"]) == len(texts_of_segments(unbroken))


def test_every_sentence_is_in_the_records_of_its_split(unbroken: RunFolder) -> None:
    for split in ("train", "evaluation"):
        rows = "|".join(text for _, text in texts_of_segments(unbroken, split)).replace(" ", "")
        for document in survivors(unbroken):
            for sentence in document.sentences:
                if len(sentence.text) < 20:  # longer ones may be cut where a row ends
                    assert (sentence.text.replace(" ", "") in rows) == (document.split == split)


def test_documents_are_held_out_by_hash_in_every_run(unbroken: RunFolder, recipe: DataRecipe, tmp_path: Path) -> None:
    splits = {document.id: document.split for document in survivors(unbroken)}
    assert set(splits.values()) == {"train", "evaluation"}
    for document in survivors(unbroken):
        text = "".join(sentence.text + sentence.blanks for sentence in document.sentences)
        assert document.split == split_of(text, recipe.evaluation_fraction)
    assert read_header(unbroken.examples).rows.keys() == {"train", "evaluation"}


def test_a_source_may_hold_out_all_or_nothing(
    tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines, document: MakeDocument
) -> None:
    files = [json_lines(tmp_path / f"{n}.jsonl", [document(100 * n + row) for row in range(40)]) for n in range(3)]
    recipe = tiny_recipe(*files)
    sources = tuple(
        replace(source, evaluation_fraction=fraction)
        for source, fraction in zip(recipe.sources, (0.0, 1.0, 0.0), strict=True)
    )
    recipe = replace(recipe, sources=sources, vocabulary=replace(recipe.vocabulary, size=385))
    found = survivors(run(tmp_path / "run", recipe))
    assert {(document.source, document.split) for document in found} == {
        ("source-0", "train"),
        ("source-1", "evaluation"),
        ("source-2", "train"),
    }


def test_of_equal_documents_the_first_source_keeps_its_own(
    tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines, document: MakeDocument
) -> None:
    shared = [document(seed) for seed in range(50)]
    first = json_lines(tmp_path / "z.jsonl", [document(1000), *shared, shared[3]])
    second = json_lines(tmp_path / "a.jsonl", [*(f"  {text}<br>" for text in shared), document(2000)])
    recipe = tiny_recipe(first, second)
    recipe = replace(recipe, vocabulary=replace(recipe.vocabulary, size=340))
    folder = run(tmp_path / "run", recipe)
    found = survivors(folder)
    assert [document.source for document in found] == ["source-0"] * 51 + ["source-1"]
    dropped = read_json(folder.corpus / "report.json")["sentences"]["dropped"]["documents"]
    assert dropped == {"source-0": {"duplicate": 1}, "source-1": {"duplicate": 50}}
    kept_all = run(
        tmp_path / "all", replace(recipe, drop_duplicates=False, near_duplicates=NearDuplicates(enabled=False))
    )
    assert len(survivors(kept_all)) == 52 + 51


@pytest.mark.parametrize(
    "examples", [*LAYOUTS, FullSentences(64, cross_documents=False)], ids=lambda examples: examples.layout
)
def test_nothing_bridges_a_removed_sentence(
    examples: Examples,
    tmp_path: Path,
    tiny_recipe: MakeRecipe,
    json_lines: JsonLines,
    document: MakeDocument,
) -> None:
    before, after = "빨강 우산을 폈습니다.", "초록 모자를 샀습니다."
    removed = "This sentence is not a Korean one at all."
    texts = [f"{document(n, 1)} {before} {removed}\n{after} {document(n + 500, 1)}" for n in range(80)]
    recipe = tiny_recipe(json_lines(tmp_path / "a.jsonl", texts))
    recipe = replace(
        recipe,
        near_duplicates=NearDuplicates(enabled=False),
        examples=examples,
        vocabulary=replace(recipe.vocabulary, size=380),
        evaluation_fraction=0.0,
    )
    folder = run(tmp_path / "run", recipe)
    report = read_json(folder.corpus / "report.json")
    assert report["sentences"]["dropped"]["sentences"] == {"source-0": {"not Korean": 80}}
    records, rows = Records(folder.examples, "train"), dict[int, list[str]]()
    for row, text in texts_of_segments(folder):
        rows.setdefault(row, []).append(text)
    labels = records.read(range(len(records))).get("label")
    together = [text for row in rows.values() for text in row]
    if labels is not None:
        from_one_text = (0, 1) if examples.layout == "sentence_order" else (0,)
        together += [" ".join(row) for number, row in rows.items() if labels[number] in from_one_text]
        assert 0 < labels.mean() < 1
    if examples.layout == "source_target":
        targets = records.read(range(len(records)))["target_tokens"]
        tokenizer = Tokenizer(folder.vocabulary)
        together = [f"{rows[row][0]} {tokenizer.backend.decode(target.tolist())}" for row, target in enumerate(targets)]
    assert any("빨강" in text for text in together)
    assert any("초록" in text for text in together)
    assert not any("This" in text for text in together)
    assert not any("빨강" in text and "초록" in text for text in together)


def test_a_given_vocabulary_gives_the_same_records(unbroken: RunFolder, recipe: DataRecipe, tmp_path: Path) -> None:
    lone = tmp_path / "lone" / "vocab.txt"
    lone.parent.mkdir()
    shutil.copyfile(unbroken.vocabulary / "vocab.txt", lone)
    for number, given in enumerate((lone, unbroken.vocabulary)):
        vocabulary = Vocabulary(size=12345, given=str(given))
        folder = run(tmp_path / str(number), replace(recipe, vocabulary=vocabulary))
        header = read_header(folder.examples)
        assert header == read_header(unbroken.examples)
        assert header.vocabulary_size == 400
        assert (folder.vocabulary / "tokenizer.json").exists()


def test_a_given_folder_needs_no_lower_case_flag(unbroken: RunFolder, recipe: DataRecipe, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    shutil.copyfile(unbroken.vocabulary / "vocab.txt", given / "vocab.txt")
    (given / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    folder = run(tmp_path / "run", replace(recipe, vocabulary=Vocabulary(given=str(given))))
    assert read_header(folder.examples).fingerprint == read_header(unbroken.examples).fingerprint


def test_special_tokens_in_the_text_stay_text(
    tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines, document: MakeDocument
) -> None:
    texts = [f"{document(n)} 여기 [MASK] [SEP] [CLS] [PAD] 글자가 있다. [UNK] [unused0] 끝이다." for n in range(80)]
    recipe = replace(tiny_recipe(json_lines(tmp_path / "a.jsonl", texts)), vocabulary=Vocabulary(360, 3, min_count=1))
    folder = run(tmp_path / "run", recipe)
    records = Records(folder.examples, "train")
    header, rows = records.header, records.read(range(len(records)))
    inside = [
        tokens[segment][1:-1]
        for index, tokens in enumerate(rows["tokens"])
        for segment in segments(tokens, from_bitmap(rows["segment_starts"][index]), header)
    ]
    assert not np.isin(np.concatenate(inside), header.reserved_ids).any()


@pytest.mark.parametrize("unit", ["eojeol", "morpheme", "token"])
def test_word_units_reach_the_records(unit: Any, unbroken: RunFolder, recipe: DataRecipe, tmp_path: Path) -> None:
    # By the scheme klue morphemes are cut into more tokens than one; by continuation these few are all rows.
    klue = replace(recipe.vocabulary, scheme="klue")
    folder = run(tmp_path, replace(recipe, word_unit=unit, vocabulary=klue))
    assert read_header(folder.examples).word_unit == unit
    counts = read_json(folder.corpus / "report.json")["records"]
    starts = 0
    for split in read_header(folder.examples).rows:
        records = Records(folder.examples, split)
        starts += int(from_bitmap(records.read(range(len(records)))["word_starts"]).sum())
    if unit == "morpheme":
        assert counts["eojeols"] < starts < counts["tokens"]
    else:
        assert starts == counts[{"eojeol": "eojeols", "token": "tokens"}[unit]]


def test_benchmark_sentences_do_not_reach_the_records(
    tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines, document: MakeDocument
) -> None:
    secret = "평가용 자료에만 나오는 보라색 코끼리가 피아노를 연주한다."
    texts = [document(n) for n in range(80)]
    texts[7] = f"{document(1001, 2)} {secret} {document(1002, 2)}"
    benchmark = json_lines(tmp_path / "benchmark.jsonl", [secret])
    recipe = tiny_recipe(json_lines(tmp_path / "a.jsonl", texts))
    vocabulary = replace(recipe.vocabulary, size=360)
    recipe = replace(recipe, vocabulary=vocabulary, decontamination=Decontamination(benchmarks=(str(benchmark),)))
    folder = run(tmp_path / "run", recipe)
    report = read_json(folder.corpus / "report.json")
    assert report["sentences"]["dropped"]["sentences"] == {"source-0": {"benchmark": 1}}
    [example] = report["sentences"]["examples"]["sentences: benchmark"]
    assert example["text"] == secret
    assert not any("코끼리" in sentence.text for document in survivors(folder) for sentence in document.sentences)
    assert "benchmark.jsonl" in json.dumps(read_json(folder.manifest_path)["prepare"]["inputs"])


def test_another_budget_of_bad_records_reads_nothing_again(
    tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines, document: MakeDocument
) -> None:
    good = json_lines(tmp_path / "a.jsonl", [document(n) for n in range(100)])
    bad = tmp_path / "b.jsonl"
    bad.write_bytes(b'{"text": "\xff"}\n')
    recipe = replace(tiny_recipe(good, bad), vocabulary=Vocabulary(380, 3, min_count=1))
    with pytest.raises(InputError, match=rf"{bad}:1: not UTF-8 \(byte 0xff at column 11\)"):
        run(tmp_path / "run", recipe)
    before = done_records(tmp_path / "run")
    assert len(before) == 1
    folder = run(tmp_path / "run", replace(recipe, max_bad_records=1))
    assert before.items() <= done_records(tmp_path / "run").items()
    assert read_json(folder.corpus / "report.json")["documents"]["bad"] == 1
    with pytest.raises(
        InputError, match=r"1 bad records, --data\.max-bad-records allows 0; the first: b\.jsonl:1: not UTF-8"
    ):
        run(tmp_path / "run", recipe)


def test_a_change_does_again_only_what_depends_on_it(recipe: DataRecipe, tmp_path: Path) -> None:
    run(tmp_path, recipe)
    before = done_records(tmp_path)

    def redone(changed: DataRecipe) -> set[str]:
        run(tmp_path, changed)
        after = done_records(tmp_path)
        stages = {path.parts[1] for path, stamp in after.items() if before.get(path) != stamp}
        before.update(after)
        return stages

    [source] = recipe.sources
    assert redone(replace(recipe, sources=(replace(source, licence="CC0"),))) == set()
    assert redone(replace(recipe, vocabulary=replace(recipe.vocabulary, size=399))) == {"vocabulary", "records"}
    assert redone(replace(recipe, examples=Packed(128))) == {"vocabulary", "records"}
    assert redone(replace(recipe, examples=SentencePairs(128))) == {"records"}
    assert redone(replace(recipe, clean=Clean(hashtags=False))) == {"documents", "records"}


def test_records_are_withdrawn_before_another_vocabulary_stands_beside_them(
    recipe: DataRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(tmp_path, recipe)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    changed = replace(recipe, vocabulary=replace(recipe.vocabulary, size=390))
    with monkeypatch.context() as patch:
        patch.setattr(data_pipeline.prepare.publish, "publish", die)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, changed)
    assert Tokenizer(folder.vocabulary).size == 390
    with pytest.raises(InputError, match="holds no finished records"):
        read_header(folder.examples)
    run(tmp_path, changed)
    assert read_header(folder.examples).vocabulary_size == 390


def with_source(**changed: Any) -> Callable[[DataRecipe], DataRecipe]:
    return lambda recipe: replace(recipe, sources=(replace(recipe.sources[0], **changed),))


WRONG: dict[str, tuple[Callable[[DataRecipe], DataRecipe], str]] = {
    "no source": (lambda r: replace(r, sources=()), r"names no source; give --source FORMAT:GLOB"),
    "format": (with_source(format="xml"), r"unknown format 'xml'; known: text, lines, jsonl, .*petitions"),
    "glob": (with_source(glob="absent-*.txt"), r"absent-\*\.txt: no such file"),
    "fraction": (with_source(evaluation_fraction=2.0), r"source-0: evaluation_fraction 2\.0: must be 0 to 1"),
    "weight": (with_source(weight=0.0), r"source-0: weight 0\.0: must be 0\.001 to 1000"),
    "category weight": (lambda r: replace(r, category_weights=(("a", -1.0),)), r"category_weights: 'a' -1\.0: must be"),
    "category field": (with_source(format="lines", category_field="a"), r"category_field 'a': format lines has no fields"),
    "two categories": (with_source(category="a", category_field="a"), r"'a': stands beside category; keep one"),
    "names": (lambda r: replace(r, sources=r.sources * 2), r"two sources are named 'source-0'"),
    "evaluation": (lambda r: replace(r, evaluation_fraction=-0.1), r"--data\.evaluation-fraction -0\.1: must be 0 to 1"),
    "length": (lambda r: replace(r, examples=Packed(100)), r"examples\.length 100: must be a multiple of 8"),
    "lengths": (lambda r: replace(r, other_lengths=(100,)), r"--data\.other-lengths 100: must be a multiple of 8"),
    "same length": (lambda r: replace(r, other_lengths=(64,)), r"--data\.other-lengths 64: is listed twice, or is"),
    "target": (lambda r: replace(r, examples=SourceTarget(64, 20)), r"--data\.examples\.target-length 20: must be a multiple of 8"),
    "swapped": (lambda r: replace(r, examples=SentenceOrder(64, -1)), r"--data\.examples\.swapped -1: must be 0 to 1"),
    "random": (lambda r: replace(r, examples=SentencePairs(64, 1.5)), r"--data\.examples\.random-next 1\.5: must be"),
    "near off": (lambda r: replace(r, drop_duplicates=False), r"drop-duplicates is off.*--data\.near-duplicates\.no-enabled"),
    "near": (lambda r: replace(r, near_duplicates=NearDuplicates(threshold=0.1)), r"near-duplicates\.threshold 0\.1: must be"),
    "parts": (lambda r: replace(r, part_megabytes=0), r"--data\.part-megabytes 0: must be 1 or more"),
    "given": (lambda r: replace(r, vocabulary=Vocabulary(given="nowhere")), r"given nowhere: holds neither"),
    "given file": (lambda r: replace(r, vocabulary=Vocabulary(given=__file__)), r"must be a file named vocab\.txt"),
    "benchmark": (lambda r: replace(r, decontamination=Decontamination(("gone",))), r"gone: no such benchmark file"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_before_the_work_starts(name: str, recipe: DataRecipe, tmp_path: Path) -> None:
    change, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        run(tmp_path / "run", change(recipe))
    assert not (tmp_path / "run" / "corpus").exists()


def test_corpora_without_text_are_named(tmp_path: Path, tiny_recipe: MakeRecipe, json_lines: JsonLines) -> None:
    empty = json_lines(tmp_path / "empty.jsonl", [])
    with pytest.raises(InputError, match=r"no document in .*empty\.jsonl: 0 records"):
        run(tmp_path / "a", tiny_recipe(empty))
    blank = json_lines(tmp_path / "blank.jsonl", ["<br>", " "])
    with pytest.raises(InputError, match=r"2 records, dropped by .*empty after cleaning\": 2"):
        run(tmp_path / "b", tiny_recipe(blank))
    english = json_lines(tmp_path / "english.jsonl", ["Nothing here is Korean."])
    with pytest.raises(InputError, match=r"no document is left to train on; .*not Korean"):
        run(tmp_path / "c", tiny_recipe(english))
    assert not (tmp_path / "c" / "manifest.json").exists()
    [korean] = tiny_recipe(
        json_lines(tmp_path / "korean.jsonl", ["오늘은 날씨가 좋아서 모두 함께 공원으로 산책을 나갔습니다."])
    ).sources
    held_out = replace(tiny_recipe(korean.glob), evaluation_fraction=1.0)
    with pytest.raises(
        InputError, match=r"left to train on; 1 held out for evaluation; dropped by source and reason: none"
    ):
        run(tmp_path / "d", held_out)


def test_a_file_without_text_between_others_is_no_trouble(
    recipe: DataRecipe, corpus: Path, tmp_path: Path, json_lines: JsonLines
) -> None:
    empty = json_lines(tmp_path / "empty.jsonl", [])
    both = (Source("jsonl", str(empty), name="empty"), *recipe.sources)
    assert len(survivors(run(tmp_path / "run", replace(recipe, sources=both), workers=2))) == 120


def test_the_manifest_tells_what_the_run_was_made_from(unbroken: RunFolder, corpus: Path) -> None:
    facts = unbroken.manifest()["prepare"]
    assert facts["recipe_name"] == "tiny"
    assert [Path(file["path"]).name for file in facts["inputs"]] == ["part-0.jsonl", "part-1.jsonl", "part-2.jsonl"]
    assert facts["recipe"]["vocabulary"]["size"] == 400
    assert facts["records"]["fingerprint"] == read_header(unbroken.examples).fingerprint
