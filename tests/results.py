"""The committed results, made again from their stored runs: tables, and the figures that are kept.

    make results                              # or, of some studies: python -m tests.results quick calibration

`memstudy table` and `memstudy figures` derive them in a temporary copy of studies/results/store, whose runs have
no networks. What comes of it is written to studies/results/STUDY, and all else there is removed. To add a study,
or what was trained anew of one: `memstudy pack studies/results/store --study STUDY`, an entry in KEPT, and
`make results`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click

from memstudy import files
from memstudy.cli import main as memstudy
from memstudy.derived import ANALYSES, analysis
from memstudy.derived.analysis import Analysis
from memstudy.derived.deriving import tables_of, write_figures, write_tables
from memstudy.papers import TABLES
from memstudy.store import Store

RESULTS = Path(__file__).parents[1] / "studies" / "results"
STORE = "store"


@dataclass(frozen=True)
class Kept:
    """What is kept of a study beside the tables of `memstudy table`.

    only: the analyses, or papers' tables, whose tables and figures are kept; None for all that `memstudy figures`
    draws.
    """

    only: tuple[str, ...] | None = None


KEPT = {
    "quick": Kept(),
    "calibration": Kept(),
    "loco_reg_lite": Kept(only=()),
    "norm_loss_lite": Kept(only=("norm_loss",)),
    "pilcro_lite": Kept(only=("landscape",)),
    "noise_grid_lite": Kept(only=("ranking",)),
    "al2_epoch100": Kept(),
}
DRAWN_WITH = {"matplotlib": "3.11.2", "seaborn": "0.13.2", "pillow": "13.0.0"}
"""With other versions the same figures have other bytes."""


def copied(folder: Path, results: Path = RESULTS) -> Path:
    """A copy of the stored runs, to derive in."""
    derived = shutil.ignore_patterns("tables", "figures")  # by whoever looked at a study there
    return Path(shutil.copytree(results / STORE, folder / STORE, ignore=derived))


def tables(store: Path, study: str) -> dict[str, bytes]:
    """Every table of a study, in three formats, by file name."""
    _derive("table", store, study)
    selection = Store(store).select((), study)
    for one in _only(study):
        if one.name not in TABLES.names():
            write_tables(one, selection, tables_of(one, selection))
    return {path.name: path.read_bytes() for path in (selection.path / "tables").iterdir()}


def figures(store: Path, study: str) -> dict[str, bytes]:
    """The figures of a study that are kept, by file name."""
    selection = Store(store).select((), study)
    if KEPT[study].only is None:
        _derive("figures", store, study)
    for one in _only(study):
        write_figures(one, selection)
    return {path.name: path.read_bytes() for path in (selection.path / "figures").glob("*.png")}


def other_versions() -> list[str]:
    """What figures were drawn with, where it is another here."""
    return [f"{name} {drawn}" for name, drawn in DRAWN_WITH.items() if version(name) != drawn]


def write(folder: Path, made: Mapping[str, bytes]) -> list[str]:
    """Let a folder have these files and no others; what was written or removed, in words."""
    old = {path.name: path.read_bytes() for path in folder.glob("*")}
    new = {name: content for name, content in made.items() if old.get(name) != content}
    gone = set(old) - set(made)
    for name, content in new.items():
        files.write(folder / name, content)
    files.remove({folder / name for name in gone})
    return [*(f"{name} written" for name in sorted(new)), *(f"{name} removed" for name in sorted(gone))]


def main(arguments: Sequence[str] | None = None, results: Path = RESULTS) -> None:
    """Make the results of some studies again, and say what is another now."""
    parser = argparse.ArgumentParser(prog="python -m tests.results", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=f"of {', '.join(KEPT)} [default: all]")
    studies = parser.parse_args(arguments).studies or list(KEPT)
    if unknown := set(studies) - set(KEPT):
        parser.error(f"there are no results of {', '.join(sorted(unknown))}; choose some of {', '.join(KEPT)}.")
    if others := other_versions():
        print(
            f"figures were drawn with {', '.join(others)}, which are others here: expect other bytes of PNG files"
        )
    with tempfile.TemporaryDirectory() as folder:
        store = copied(Path(folder), results)
        for study in studies:
            made = tables(store, study) | figures(store, study)
            changes = write(results / study, made)
            print(f"{study}: {len(made)} files, {', '.join(changes) or 'all as they were'}", flush=True)


def _only(study: str) -> list[Analysis]:
    names = KEPT[study].only or ()
    return [analysis(name, TABLES if name in TABLES.names() else ANALYSES)() for name in names]


def _derive(command: str, store: Path, study: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            memstudy([command, "--study", study, "--runs-dir", str(store)], standalone_mode=False)
        except click.ClickException as error:
            raise SystemExit(f"memstudy {command} --study {study}: {error.format_message()}") from error


if __name__ == "__main__":
    main()
