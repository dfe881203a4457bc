"""What is derived from a selection of runs, in order: comparison, ablation, tables, figures.

Each step is one function that does it, says what it found, and returns its summary for --json; the commands
of the same names call them one by one, and `memstudy study` all in a row.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from memstudy import files
from memstudy.analysis.keep import KeepRule, parse_keep
from memstudy.cli.progress import Voice, counted
from memstudy.derived.ablation import figures as ablation_figures
from memstudy.derived.ablation import measure as ablate
from memstudy.derived.columns import read
from memstudy.derived.dynamics import figures as dynamics_figures
from memstudy.derived.dynamics import measure as dynamics
from memstudy.derived.dynamics import tables as dynamics_report
from memstudy.derived.filters import measure as filters
from memstudy.derived.filters import tables as filter_report
from memstudy.derived.landscape import measure as landscape
from memstudy.derived.landscape import tables as landscape_report
from memstudy.derived.layers import TRUNK
from memstudy.derived.probe import measure as probe
from memstudy.derived.probe import tables as probe_report
from memstudy.derived.ranking import figures as ranking_figures
from memstudy.derived.ranking import tables as ranking
from memstudy.derived.similarity import digest as comparison
from memstudy.derived.similarity import figures as similarity
from memstudy.derived.similarity import measure as compare
from memstudy.derived.similarity.plan import What
from memstudy.derived.workbench import Workbench
from memstudy.errors import Interrupted, MemstudyError, unknown
from memstudy.papers.al2 import figures, tables
from memstudy.papers.loco_reg import tables as loco
from memstudy.papers.norm_loss import figures as norm_loss_figures
from memstudy.papers.norm_loss import tables as norm_loss
from memstudy.papers.pilcro import tables as pilcro
from memstudy.report.frames import Setting, is_last, settings, suffix
from memstudy.report.table import Table, records
from memstudy.store.store import Selection
from memstudy.study.grid import ANALYSES, COUNTS, TABLES, USUAL_ANALYSES

DEFAULT_ORDERS = 5
SHEETS: dict[str, tuple[Callable[[Selection], list[Table]], Callable[[Selection], str]]] = {
    loco.NAME: (loco.sheets, loco.why_none),
    norm_loss.NAME: (norm_loss.sheets, norm_loss.why_none),
    pilcro.NAME: (pilcro.sheets, pilcro.why_none),
    ranking.NAME: (ranking.sheets, ranking.why_none),
}
"""Tables over a whole selection, by their names in a study's [report], and why there are none where there are."""
NAMES = (
    *TABLES, "accuracy", "losses", "activation_loss", "cca", "similarity", "convergence", "ablation", "probe",
    "filters", "landscape", "dynamics",
)  # fmt: skip
"""What names of tables and figures begin with."""
DERIVED = "derived.json"
"""In a study's directory: the runs and the report that its tables and figures were last derived from."""
DRAWERS: dict[str, tuple[Callable[[Selection], list[Path]], str | None]] = {
    "training": (figures.draw_training, None),
    "svcca": (similarity.draw, What().coefficients),
    "ablate": (ablation_figures.draw_ablation, ablate.CURVES),
    "probe": (probe_report.draw, probe.PROBES),
    "filters": (filter_report.draw, filters.LOG_WEIGHTS),
    "landscape": (landscape_report.draw, landscape.PIXELS),
    "dynamics": (dynamics_figures.draw, dynamics.AUCS),
    ranking.NAME: (ranking_figures.draw, None),
    norm_loss.NAME: (norm_loss_figures.draw, None),
}
"""How to draw each kind of figure, and the derived file it needs, named by the command that makes it. What has the
name of a table is drawn with that table."""


def derive_all(
    selection: Selection, device: torch.device, data_dir: Path | None, voice: Voice
) -> tuple[dict[str, Any], list[MemstudyError]]:
    """The study's analyses, each with its defaults where the study has no other; then tables and figures.

    An analysis that cannot be made does not keep the others from it: its error is said, and returned.
    """
    bench, own = Workbench(device, data_dir), selection.settings()
    counts: dict[str, dict[str, Any]] = {name: {name: own[name]} if name in own else {} for name in COUNTS}
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "svcca": lambda: svcca_step(selection, bench, voice),
        "ablate": lambda: ablation_step(selection, bench, voice, **counts["orders"]),
        "probe": lambda: probe_step(selection, bench, voice),
        "filters": lambda: filter_step(selection, voice),
        "landscape": lambda: landscape_step(
            selection, bench, voice, epochs=_report_epochs(selection), **counts["images"]
        ),
        "dynamics": lambda: dynamics_step(selection, voice),
        "tables": lambda: table_step(selection, voice),
        "figures": lambda: figure_step(selection, voice),
    }
    summary: dict[str, Any] = {}
    left_out: list[str] = []
    written: list[str] = []
    errors: list[MemstudyError] = []
    for name in (*_chosen(selection, "analyses", USUAL_ANALYSES), "tables", "figures"):
        try:
            if name not in steps:
                raise unknown("analysis", name, ANALYSES)
            found = steps[name]()
        except Interrupted:
            raise
        except MemstudyError as error:
            errors.append(error)
            found = {"left_out": [f"{name}: {str(error).rstrip('.')}"]}
            _say_left_out(voice, found["left_out"])
        left_out += found.pop("left_out", [])
        written += [path for key in ("written", "tables", "figures") for path in found.get(key, ())]
        summary |= found
    _remove_earlier(selection, map(Path, written))
    return summary | {"written": written, "left_out": list(dict.fromkeys(left_out))}, errors


def _remove_earlier(selection: Selection, written: Iterable[Path]) -> None:
    """Where a study's runs or its report are not those of its last derivation, remove the tables and figures of
    that one which are not written again; and remember these.
    """
    path = selection.path / DERIVED
    now = {"runs": [run.name for run in selection.runs], "report": selection.settings()}
    with contextlib.suppress(MemstudyError):  # none, or damaged: it is written anew
        if files.read_json(path) != now:
            _remove(selection, ("tables", "figures"), NAMES, written)
    files.write_json(path, now)


def _remove(selection: Selection, folders: Sequence[str], names: Sequence[str], but: Iterable[Path]) -> None:
    """Remove the tables or figures whose names begin with one of these, but for some."""
    found = {path for folder in folders for name in names for path in (selection.path / folder).glob(f"{name}*")}
    files.remove(found - set(but))


def svcca_step(
    selection: Selection,
    bench: Workbench,
    voice: Voice,
    keep: str = "variance:0.99",
    all_pairs: bool = False,
    what: What | None = None,
    epochs: Sequence[int] | None = None,
    constant: str = "drop",
) -> dict[str, Any]:
    """Compare representations; print the digest; write both CSV files."""
    what = what or What()
    rule = parse_keep(keep)
    left_out = _damaged(selection)
    with counted(voice, "comparing") as on_pair:
        pairs = compare.compare(
            selection,
            bench,
            keep=rule,
            what=what,
            all_pairs=all_pairs,
            epochs=epochs,
            constant=constant,
            on_pair=on_pair,
            on_left_out=left_out.append,
        )
    voice.say(f"representations of {selection.name}, {what.title} on test images, means over n pairs of runs:")
    parts = [(title, part) for title, part in comparison.by_setting(pairs, selection.runs) if len(part)]
    compared: list[dict[str, Any]] = []
    for title, part in parts:
        if len(parts) > 1:
            voice.say(f"\n{title}:")
        digest = comparison.digest(part, selection.runs)
        shown = digest if digest["collapsed"].any() else digest.drop(columns="collapsed")
        _say_digest(voice, shown, rule)
        compared += records(digest.assign(setting=title))
    _say_left_out(voice, left_out)
    voice.say(f"\nall {len(pairs)} comparisons: {selection.path / what.pairs}")
    return {"svcca": compared, "left_out": left_out}


def ablation_step(
    selection: Selection,
    bench: Workbench,
    voice: Voice,
    orders: int = DEFAULT_ORDERS,
    seed: int = 0,
    what: ablate.Ablation = ablate.USUAL,
) -> dict[str, Any]:
    """Ablate; print the areas at the last epoch; write the curves and the areas."""
    left_out = _damaged(selection)
    with counted(voice, "ablating") as on_network:
        curves = ablate.ablate(
            selection,
            bench,
            orders=orders,
            seed=seed,
            what=what,
            epochs=_report_epochs(selection),
            on_network=on_network,
            on_left_out=left_out.append,
        )
    areas = ablate.areas(curves)
    path = selection.path / what.areas
    files.write(path, areas.to_csv(index=False, lineterminator="\n"))
    last = areas[is_last(areas)]
    voice.say(f"\narea under the cumulative ablation curve, %, last epoch, mean and 95 % CI over {orders} orders:")
    if what != ablate.USUAL:
        voice.say(f"{what.title}; accuracy on {what.labels} labels")
    voice.frame(last, digits=2)
    _say_left_out(voice, left_out)
    voice.say(f"\nall {len(areas)} areas: {path}")
    return {"ablation": records(last)}


def probe_step(
    selection: Selection,
    bench: Workbench,
    voice: Voice,
    layers: Sequence[str] = (TRUNK,),
    samples: int = probe.DEFAULT_SAMPLES,
    epochs: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Probe layers; print and write the tables."""
    left_out = _damaged(selection)
    with counted(voice, "probing") as on_network:
        probe.probes(
            selection,
            bench,
            layers=layers,
            samples=samples,
            epochs=epochs or _report_epochs(selection),
            on_network=on_network,
            on_left_out=left_out.append,
        )
    sheets = probe_report.sheets(selection)
    _say_sheets(voice, sheets)
    _say_left_out(voice, left_out)
    written = probe_report.write(selection, sheets)
    voice.say(f"tables: {selection.path / 'tables'}")
    voice.say(f"every probed epoch, and each single network: {selection.path / probe.PROBES}")
    return _summary(sheets, left_out, written)


def filter_step(
    selection: Selection, voice: Voice, weights: Sequence[Path] = (), choice: str = "named", seed: int = 0
) -> dict[str, Any]:
    """Measure kernels; print and write the tables, and draw the figures."""
    left_out = _damaged(selection)
    with counted(voice, "reading kernels") as on_network:
        filters.measure(
            selection, weights, choice=choice, seed=seed, on_network=on_network, on_left_out=left_out.append
        )
    sheets = filter_report.sheets(selection)
    _say_sheets(voice, sheets)
    for what in left_out:
        voice.say(f"left out: {what}.")
    written = filter_report.write(selection, sheets)
    voice.say(f"tables: {selection.path / 'tables'}\nfigures: {selection.path / 'figures'}")
    voice.say(f"every kept epoch, and each single network: {selection.path / filters.FRACTIONS}")
    return _summary(sheets, left_out, written)


def landscape_step(
    selection: Selection,
    bench: Workbench,
    voice: Voice,
    images: int = landscape.DEFAULT_IMAGES,
    epochs: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Measure importance landscapes and accuracy under noise; print and write the tables."""
    left_out = _damaged(selection)
    with counted(voice, "looking at pixels") as on_network:
        landscape.landscapes(
            selection,
            bench,
            images=images,
            epochs=epochs,
            on_network=on_network,
            on_left_out=left_out.append,
        )
    sheets = landscape_report.sheets(selection)
    _say_sheets(voice, sheets)
    _say_left_out(voice, left_out)
    written = landscape_report.write(selection, sheets)
    voice.say(f"tables: {selection.path / 'tables'}")
    voice.say(f"every epoch that was looked at, and each single network: {selection.path / landscape.FLATNESS}")
    return _summary(sheets, left_out, written)


def dynamics_step(selection: Selection, voice: Voice) -> dict[str, Any]:
    """Derive what becomes of each training sample; print and write the tables."""
    left_out = _damaged(selection)
    with counted(voice, "reading records") as on_run:
        dynamics.measure(selection, on_run=on_run, on_left_out=left_out.append)
    sheets = dynamics_report.sheets(selection)
    _say_sheets(voice, sheets)
    _say_left_out(voice, left_out)
    written = dynamics_report.write(selection, sheets)
    if sheets:
        voice.say(f"tables: {selection.path / 'tables'}")
        voice.say(f"every score at every epoch, of each single run: {selection.path / dynamics.AUCS}")
    return _summary(sheets, left_out, written)


def table_step(
    selection: Selection, voice: Voice, style: str = "markdown", epochs: Sequence[int] | None = None
) -> dict[str, Any]:
    """Write every table in three formats; print them in one. The summary holds their numbers, too.

    AL2's tables are of these epochs, by default of the study's choice.
    """
    epochs = epochs or _report_epochs(selection)
    areas = ablate.areas(read(selection.path / ablate.CURVES))
    wanted = _chosen(selection, "tables", TABLES)
    found: list[Table] = []
    left_out = _damaged(selection)
    for index, setting in enumerate(settings(selection.runs)):
        own = _tables(selection, setting, areas, wanted, epochs)
        if not own and set(wanted) - set(SHEETS):
            voice.say(f"{setting.title}: no epoch to tabulate is trained yet.")
        found += [replace(table, name=table.name + suffix(index)) for table in own]
    absent = [name for name in wanted if name not in SHEETS and name not in {table.name for table in found}]
    reasons = {name: _why_none(name, selection, epochs) for name in absent}
    for name in (name for name in wanted if name in SHEETS):
        make, why_none = SHEETS[name]
        if sheets := make(selection):
            found += sheets
        else:
            reasons[name] = why_none(selection)
    if "tables" in selection.settings():  # what nobody asked for needs no excuse
        left_out += [f"the table {name}: {reasons[name]}" for name in wanted if name in reasons]
    written: list[Path] = []
    for table in found:
        written += table.write(selection.path / "tables")
        voice.say("\n" + {"markdown": table.markdown, "latex": table.latex, "csv": table.csv}[style]())
    _remove(selection, ["tables"], TABLES, written)
    _say_left_out(voice, left_out)
    voice.say(f"tables: {selection.path / 'tables'}")
    numbers = [{"table": table.name} | record for table in found for record in records(table.values)]
    return {"tables": _paths(*written), "numbers": numbers, "left_out": left_out}


def _why_none(name: str, selection: Selection, epochs: Sequence[int] | None) -> str:
    """Why there is no such table of AL2's in any setting."""
    which = "" if epochs is None else f" of those to tabulate ({', '.join(map(str, epochs))})"
    if name == "ablation_area":
        return f"no network of these runs was ablated; 'memstudy ablate --study {selection.name}' does it"
    return f"no epoch{which} is trained yet"


def figure_step(selection: Selection, voice: Voice, kinds: Sequence[str] | None = None) -> dict[str, Any]:
    """Draw what there are numbers for, by default of training, the study's analyses and its tables; say what is
    missing and which command makes it.
    """
    if kinds is None:
        chosen = _chosen(selection, "tables", TABLES)
        _remove(selection, ["figures"], [name for name in SHEETS if name not in chosen], ())
        names = [*_chosen(selection, "analyses", USUAL_ANALYSES), *chosen]
        kinds = ["training", *(name for name in names if name in DRAWERS)]
    drawn: list[Path] = []
    for kind in kinds:
        draw, source = DRAWERS[kind]
        found = draw(selection)
        drawn += found
        if source and not found:
            voice.say(f"nothing to draw from {source} yet; 'memstudy {kind}' makes it.")
    voice.say(f"figures: {selection.path / 'figures'}")
    return {"figures": _paths(*drawn)}


def _chosen(selection: Selection, what: str, usual: Sequence[str]) -> list[str]:
    """The study's choice of analyses or tables, or the usual ones."""
    chosen = selection.settings().get(what, usual)
    return [str(name) for name in chosen] if isinstance(chosen, list | tuple) else list(usual)


def _tables(
    selection: Selection,
    setting: Setting,
    areas: pd.DataFrame,
    wanted: Sequence[str],
    epochs: Sequence[int] | None,
) -> list[Table]:
    makers = {
        "table1": lambda: tables.table1(setting, epochs),
        "memorization": lambda: tables.memorization(setting, epochs),
        "ablation_area": lambda: tables.ablation_area(setting, areas, epochs),
    }
    found = [make() for name, make in makers.items() if name in wanted]
    notes = tuple(
        f"{what}: {', '.join(names)}."
        for what, names in {"Missing": selection.missing, "Damaged, left out": selection.damaged}.items()
        if names
    )
    return [replace(table, notes=table.notes + notes) for table in found if table and len(table.values)]


def _say_digest(voice: Voice, digest: pd.DataFrame, rule: KeepRule) -> None:
    for relation, rows in digest.groupby("relation", sort=False):
        voice.say(f"\n{comparison.meaning(str(relation))} (SVCCA keeps {rule})")
        ranks = {side: rows[side].map("{:g}".format) for side in ("rank_a", "rank_b")}
        voice.frame(rows.drop(columns="relation").assign(**ranks), digits=3)


def _say_sheets(voice: Voice, sheets: Sequence[Table]) -> None:
    for sheet in sheets:
        voice.say("\n" + sheet.markdown())


def _summary(sheets: Sequence[Table], left_out: list[str], written: Sequence[Path]) -> dict[str, Any]:
    """An analysis' tables by name, what it left out, and its files, for --json."""
    return {sheet.name: sheet.records() for sheet in sheets} | {"left_out": left_out, "written": _paths(*written)}


def _damaged(selection: Selection) -> list[str]:
    """Sentences, to be listed, on the runs that cannot be trusted."""
    return [sentence.rstrip(".") for sentence in selection.damaged.values()]


def _say_left_out(voice: Voice, left_out: Sequence[str]) -> None:
    if left_out:
        voice.say("")
    for what in left_out:
        voice.say(f"left out: {what}.")


def _report_epochs(selection: Selection) -> list[int] | None:
    """The study's own choice of epochs to tabulate; None for all that were kept."""
    epochs = selection.settings().get("epochs")
    return [int(epoch) for epoch in epochs] if isinstance(epochs, list) else None


def _paths(*paths: Path) -> list[str]:
    return [str(path) for path in paths]
