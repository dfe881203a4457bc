"""`memstudy show`: one run in full."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from memstudy.cli import options


@click.command()
@click.argument("run", type=options.RUN)
@options.runs_dir
@options.may_run
@options.as_json
def show(run: str, runs_dir: Path, as_json: bool) -> None:
    """Show all that is known of RUN: recipe, data, machine, numbers, verdict, files, and what can be made of it.

    What is not as the nearest preset has it is marked, with the preset's value.

    \b
    memstudy show 1a2b3c4d                 by the digits at the end of its name
    memstudy show '*-bare-s0-*' --json     by a pattern, for another program
    """  # noqa: D301 (the escape is click's mark of a block that is not to be wrapped)
    from memstudy.cli.progress import Voice
    from memstudy.report.description import described
    from memstudy.store import Store

    store = Store(runs_dir)
    directory = store.one(run)
    facts = described(directory)
    facts["next"] = _next(facts, runs_dir)
    voice = Voice(quiet=as_json)
    if as_json:
        voice.print_json(facts)
    else:
        voice.say("\n".join(_text(facts)))
    for sentence in store.studies_and_damaged()[1]:
        voice.tell(sentence)


def _text(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the whole page."""
    yield facts["name"]
    yield from _where_it_stands(facts)
    yield f"\nrecipe {facts['id']}, preset {facts['preset']}; * is what was changed in that, with its value there"
    yield from _recipe(facts)
    yield "\ndata and labels"
    yield from _data(facts["data"])
    if facts["sessions"]:
        yield "\ncarried out"
        yield from map(_session, facts["sessions"])
        yield from (
            f"  with others' code: {subject} {code['sha256'][:8]}" for subject, code in facts["code"].items()
        )
    if facts["last"]:
        yield "\nmetrics"
        yield from _metrics(facts)
    yield ""
    yield facts["verdict_text"] or f"no verdict: {facts['no_verdict']}."
    yield f"\nfiles in {facts['path']}"
    yield from _files(facts)
    yield "\nwhat can be made next"
    yield from (f"  {command}" for command in facts["next"])


def _where_it_stands(facts: Mapping[str, Any]) -> Iterator[str]:
    from memstudy.cli.progress import plural
    from memstudy.cli.runs import local

    yield f"{facts['status']}, {facts['epochs_done']} of {plural(facts['epochs'], 'epoch')} done"
    if facts["evaluate_every"] > 1:
        yield f"evaluated every {facts['evaluate_every']} epochs, and where a network is kept"
    if facts["failure"]:
        yield f"failed: {facts['failure']}"
    if facts["begun"]:
        yield f"begun {local(facts['begun'])}, last at work {local(facts['date'])}"
    if facts["studies"]:
        yield f"in {', '.join(facts['studies'])}"


def _recipe(facts: Mapping[str, Any]) -> list[str]:
    from memstudy.cli.layout import Column, lines
    from memstudy.distinctions import text

    settings, changed = facts["settings"], facts["changed"]
    columns = [
        Column("", ["*" if name in changed else "" for name in settings]),
        Column("", [name.replace("_", "-") for name in settings]),
        Column("", [text(name, value) for name, value in settings.items()]),
        Column("", [f"({text(name, changed[name])})" if name in changed else "" for name in settings]),
    ]
    return lines(columns, headings=False)


def _data(data: Mapping[str, Any]) -> Iterator[str]:
    if data["samples"] is not None:
        yield f"  {data['samples']:,} samples of {len(data['classes'])} classes"
    if data["corrupted_share"] is not None:
        count = "" if data["corrupted"] is None else f" ({data['corrupted']:,})"
        yield f"  {100 * data['corrupted_share']:.2f} % of the labels{count} are corrupted"
    for name in ("labels", "images"):
        if digest := data[f"{name}_sha256"]:
            yield f"  {name} {digest[:16]}"
    for name in ("mean", "std"):
        if values := data[name]:
            yield f"  {name} {', '.join(f'{value:g}' for value in values)}"
    if data["note"]:
        yield f"  {data['note']}"


def _session(session: Mapping[str, Any]) -> str:
    """`  from epoch 0, 2026-11-28 12:00: cpu (x86_64), 1 thread; memstudy 0.1.0, Python 3.11.7, torch 2.15.0`."""
    from memstudy.cli.progress import plural
    from memstudy.cli.runs import local

    when = f", {local(session['date'])}" if "date" in session else ""
    machine = [f"{session.get('device')} ({session.get('device_name')})", str(session.get("system"))]
    machine += [plural(session["threads"], "thread")] if "threads" in session else []
    commit = f" (commit {session['commit'][:12]})" if session.get("commit") else ""
    packages = [f"{name} {version}" for name, version in (session.get("packages") or {}).items() if version]
    versions = [f"memstudy {session.get('memstudy')}{commit}", f"Python {session.get('python')}", *packages]
    return f"  from epoch {session.get('from_epoch', 0)}{when}: {', '.join(machine)}; {', '.join(versions)}"


def _metrics(facts: Mapping[str, Any]) -> list[str]:
    from memstudy.cli.layout import Column, lines

    last, best = facts["last"], facts["best"]
    names = [name for name in last if name != "epoch"]
    columns = [
        Column("  after epoch", [f"  {name}" for name in names]),
        Column(f"{last['epoch']:.0f} (last)", [number(last[name]) for name in names], number=True),
    ]
    if best:
        heading = f"{best['epoch']:.0f} (best test accuracy)"
        columns.append(Column(heading, [number(best[name]) for name in names], number=True))
    return lines(columns)


def number(value: float | None) -> str:
    """Four digits after the point; a dash for none."""
    return "–" if value is None or value != value else f"{value:.4f}"


def _files(facts: Mapping[str, Any]) -> Iterator[str]:
    from rich.filesize import decimal

    from memstudy.errors import listed

    networks = {name: size for name, size in facts["files"].items() if name.startswith("checkpoints/")}
    for name, size in facts["files"].items():
        if name not in networks:
            yield f"  {name}  {decimal(size)}"
    if networks:
        epochs = ", ".join(map(str, facts["kept_epochs"]))
        yield f"  checkpoints/  {len(networks)} networks, {decimal(sum(networks.values()))}: after epochs {epochs}"
    if facts["absent"]:
        yield f"  not here: {listed(facts['absent'])}"
    for path in facts["derived"]:
        yield f"  {path}, beside it in the store, has numbers of it"


def _next(facts: Mapping[str, Any], runs_dir: Path) -> list[str]:
    """Commands that a user can give now, and why others cannot be given."""
    from memstudy.derived import loadable
    from memstudy.derived.analysis import Needs
    from memstudy.store.records import HOW_TO_RECORD

    run = facts["id"][:8]
    store = "" if runs_dir == Path("runs") else f" --runs-dir {shlex.quote(str(runs_dir))}"
    has = {
        Needs.NETWORKS: bool(facts["kept_epochs"]),
        Needs.WEIGHTS: bool(facts["kept_epochs"]),
        Needs.RECORDS: facts["has_records"],
    }
    commands = []
    if facts["status"] != "finished":
        recipe = shlex.quote(f"{facts['path']}/recipe.toml")
        commands.append(f"memstudy run{store} --recipe {recipe}   # trains it to its end")
    if facts["epochs_done"]:
        commands += [f"memstudy {verb} {run}{store}" for verb in ("table", "figures")]
    commands += [f"memstudy {name} {run}{store}" for name, kind in loadable().items() if has.get(kind.needs)]
    if has[Needs.NETWORKS]:
        commands.append(f"memstudy export {run}{store} --cleanlab probs.npz")
        if not has[Needs.RECORDS]:
            commands.append(f"no dynamics: there are no records of its samples ({HOW_TO_RECORD})")
    elif facts["epochs_done"]:
        commands.append("no analysis of its networks and samples: these are not here, as in a packed copy")
    return commands
