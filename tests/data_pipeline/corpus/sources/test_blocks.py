"""Text without a blank line is one document a file: that is said, and a huge one is cut."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import run

from data_pipeline.corpus.document import Document
from data_pipeline.corpus.sources import plain_text
from data_pipeline.corpus.sources.lines import Remark
from data_pipeline.recipe import DataRecipe, Source
from data_pipeline.source_formats import reader_of


def read(content: str) -> list[object]:
    return list(reader_of("text")(io.BytesIO(content.encode()), "a.txt", Source("text", "", name="s")))


@pytest.mark.parametrize("blank", ["", " \t", "\u200b", "\ufeff", " \u200b\xa0", "\u3000", "\u3164", "\u2060 \xad"])
def test_a_line_on_which_nobody_sees_anything_is_blank(blank: str) -> None:
    first, second = read(f"하나다.\n{blank}\n둘이다.\n")
    assert isinstance(first, Document)
    assert isinstance(second, Document)
    assert (first.text, second.text, second.id) == ("하나다.", "둘이다.", "a.txt:3-3")
    found = list(reader_of("lines")(io.BytesIO(f"하나다.\n{blank}\n".encode()), "a.txt", Source("lines", "")))
    assert len(found) == 1


def test_many_lines_without_a_blank_one_are_remarked_on() -> None:
    assert read("줄이다.\n" * 10)[1:] == [Remark("lines_of_one_block", 10)]
    assert len(read("줄이다.\n" * 9)) == 1
    assert len(read("줄이다.\n" * 10 + "\n글이다.\n")) == 2


def test_a_huge_document_is_cut_at_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_text, "LONGEST_BLOCK", 1000)
    found = read("".join(f"{number:09d}\n" for number in range(350)))
    documents = [item for item in found if isinstance(item, Document)]
    assert [document.id for document in documents] == [f"a.txt:{a + 1}-{min(a + 111, 350)}" for a in range(0, 350, 111)]
    assert "\n".join(document.text for document in documents).split() == [f"{number:09d}" for number in range(350)]
    assert found.count(Remark("blocks_cut")) == 3
    assert found[-1] == Remark("lines_of_one_block", 350)


def test_prepare_names_the_format_that_was_meant(
    tmp_path: Path,
    tiny_recipe: Callable[..., DataRecipe],
    document: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "a.txt").write_text("\n".join(map(document, range(60))), encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n\n".join(map(document, range(60, 70))), encoding="utf-8")
    recipe = replace(tiny_recipe(""), sources=(Source("text", f"{tmp_path}/*.txt"),), evaluation_fraction=0.0)
    run(tmp_path / "run", recipe)
    assert (
        f"text: in 1 of 2 files are many lines (60) and no blank line, so that each is one document; where each line is one, read them as lines:{tmp_path}/*.txt"
        in caplog.messages
    )
