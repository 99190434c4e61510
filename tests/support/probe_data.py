"""Task files small enough that a probe takes no time."""

from pathlib import Path


def reviews(folder: Path, count: int) -> Path:
    """NSMC's training file, in which each text comes twice."""
    lines = ["id\tdocument\tlabel", *(f"{row}\t가 각{chr(0xAC02 + row // 2)}\t{row // 2 % 2}" for row in range(count))]
    folder.mkdir(exist_ok=True)
    (folder / "ratings_train.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
