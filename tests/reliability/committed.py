"""The result of the campaign as committed: a table of each part, and a line a part of when, where and of what."""

from __future__ import annotations

import csv
import datetime
import io
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from memstudy import files
from memstudy.study.environment import environment
from memstudy.training.device import resolve_device
from memstudy.training.placement import Placement
from tests.reliability.tally import Row

FOLDER = Path(__file__).parents[2] / "studies" / "results" / "reliability"
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- campaign -->", "<!-- end -->"
OVERVIEW = "campaign.csv"
COLUMNS = ("part", "tried", "survived", "date", "commit", "machine", "python", "torch", "seed", "seconds")


def save(
    part: str, rows: Sequence[Row], seed: int, seconds: float, folder: Path = FOLDER, more: bool = False
) -> None:
    """Write rows of a part, and its line in the overview, in place of earlier ones.

    more: whether they come to those that are there instead. The line is then added to that of the same commit and
        seed: a part that is carried out in several goes has a line for each of its commits.
    """
    table = [{"case": row.case, "what": row.what, "tried": row.tried, "survived": row.survived} for row in rows]
    files.write(folder / f"{part}.csv", _csv([*(_read(folder / f"{part}.csv") if more else ()), *table]))
    line = {"part": part, **_totals(rows), **_circumstances(), "seed": str(seed), "seconds": f"{seconds:.0f}"}
    lines = [other for other in overview(folder) if other["part"] != part or more]
    for other in [other for other in lines if all(other[key] == line[key] for key in ("part", "commit", "seed"))]:
        lines.remove(other)
        line |= {key: str(int(other[key]) + int(line[key])) for key in ("tried", "survived", "seconds")}
    lines.append(line)
    lines.sort(key=lambda one: one["part"])
    files.write(folder / OVERVIEW, _csv(lines))
    if folder == FOLDER:
        files.write(PAGE, with_figures(PAGE.read_text(encoding="utf-8")))


def cases(part: str, folder: Path = FOLDER) -> set[str]:
    """What of a part has been saved."""
    return {row["case"] for row in _read(folder / f"{part}.csv")}


def with_figures(page: str, folder: Path = FOLDER) -> str:
    """The page of reliability with the campaign's figures between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    names = ("part", "tried", "survived", "date", "commit", "machine", "seed", "seconds")
    rows = [[_shown(name, line[name]) for name in names] for line in overview(folder)]
    table = ["| " + " | ".join(cells) + " |" for cells in (names, ["---"] * len(names), *rows)]
    return "\n".join([before + BEGIN, *(table if rows else []), END]) + after


def _shown(name: str, value: str) -> str:
    return (
        f"{int(value):,}"
        if name in ("tried", "survived", "seconds")
        else value[:12]
        if name == "commit"
        else value
    )


def overview(folder: Path = FOLDER) -> list[dict[str, str]]:
    """The lines of the overview, by COLUMNS; none if nothing was saved."""
    return _read(folder / OVERVIEW)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        content = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return list(csv.DictReader(io.StringIO(content)))


def _totals(rows: Iterable[Row]) -> dict[str, str]:
    several = list(rows)
    return {"tried": str(sum(r.tried for r in several)), "survived": str(sum(r.survived for r in several))}


def _circumstances() -> dict[str, str]:
    found = environment(Placement.usual(resolve_device("cpu")))
    packages = found["packages"]
    assert isinstance(packages, dict)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": _commit(str(found["commit"])),
        "machine": f"{found['system']}, {found['device_name']}, {os.cpu_count()} cores",
        "python": str(found["python"]),
        "torch": str(packages["torch"]),
    }


def _commit(found: str) -> str:
    """The commit of what was tried: results that were saved before make it no other."""
    words = ["git", "diff", "--quiet", "HEAD", "--", "memstudy", "tests", "pyproject.toml"]
    same = found.endswith("-dirty") and not subprocess.run(words, cwd=FOLDER, check=False).returncode
    return found.removesuffix("-dirty") if same else found


def _csv(rows: Iterable[Mapping[str, object]]) -> str:
    several = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(several[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(several)
    return text.getvalue()
