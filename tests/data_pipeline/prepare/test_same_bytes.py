"""Archives, other encodings, damage, holes, repair and kept drops: the same bytes whatever does the work."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prepared_runs import results, run

from data_pipeline.recipe import DataRecipe, Repair, Source


@pytest.fixture(scope="module")
def recipe(
    tiny_recipe: Callable[..., DataRecipe], document: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> DataRecipe:
    folder = tmp_path_factory.mktemp("mixed")
    with zipfile.ZipFile(folder / "members.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            texts = [document(100 * number + row) for row in range(20)] + ["짧다.", "가" * 130]
            lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
            archive.writestr(f"자료/{number}.jsonl", "\n".join([*lines, "no json" if number == 1 else ""]))
    for number in range(2):
        blocks = [document(1000 + 100 * number + row).replace(". ", ".\n") for row in range(20)]
        (folder / f"{number}.txt").write_bytes("\n\n".join(blocks).encode("cp949"))
    pages = [
        {
            "namespace": "0",
            "title": str(row),
            "text": f"{document(2000 + row)}\n올해 [age(1990-01-01)]세인 사람이다.\n||칸||",
        }
        for row in range(20)
    ]
    content = json.dumps(pages, ensure_ascii=False)
    (folder / "wiki.json").write_text(content[: len(content) * 3 // 4], encoding="utf-8")
    lost = [f"{document(3000 + row)} 나랏말\uebd4미\ufffd" for row in range(20)] + ["\ufffd\ufffd글이다."]
    (folder / "lost.lines").write_text("\n".join(lost), encoding="utf-8")
    return replace(
        tiny_recipe(""),
        sources=(
            Source("jsonl", str(folder / "members.zip"), name="zip"),
            Source("text", str(folder / "*.txt"), encoding="cp949"),
            Source("namuwiki", str(folder / "wiki.json")),
            Source("lines", str(folder / "lost.lines")),
        ),
        repair=Repair(join_lines=True),
        max_bad_records=1,
        read_up_to_damage=True,
    )


@pytest.fixture(scope="module")
def alone(recipe: DataRecipe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one worker makes of it."""
    folder = run(tmp_path_factory.mktemp("alone") / "run", recipe, keep_dropped=True)
    report = json.loads((folder.path / "corpus/report.json").read_bytes())
    dropped = {
        reason
        for stage in ("documents", "sentences")
        for kind in report[stage]["dropped"].values()
        for of in kind.values()
        for reason in of
    }
    assert {"lost characters", "long word", "hole", "too short"} <= dropped
    return results(folder.path)


@pytest.mark.parametrize("workers", [2, 4])
def test_any_number_of_workers_makes_the_same_bytes(
    workers: int, recipe: DataRecipe, alone: dict[str, str], tmp_path: Path
) -> None:
    assert results(run(tmp_path / "run", recipe, workers, keep_dropped=True).path) == alone


def test_ray_makes_the_same_bytes(recipe: DataRecipe, alone: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    assert results(run(tmp_path / "run", recipe, ray_address="local", keep_dropped=True).path) == alone
