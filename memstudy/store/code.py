"""Whether the code of others that a run was trained with is the code that is there now.

A recipe names a user's network or another package's regularizer, rule or set, and its identity does not depend on
what these consist of (`memstudy.foreign`). That is recorded with the run, in state.json, when it is trained; a run
that was trained before this was recorded is taken at its word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from memstudy import models
from memstudy.data import RULES, SOURCES
from memstudy.errors import MemstudyError, listed
from memstudy.foreign import Code
from memstudy.recipe import Recipe
from memstudy.registry import Registry
from memstudy.regularizers import REGULARIZERS
from memstudy.store import RunDirectory
from memstudy.store.store import Selection
from memstudy.trust import Untrusted

KEY = "code"
MOST = 4
"""At most so many of the modules that differ are named."""


class CodeChanged(MemstudyError):
    """A run was trained with other code than there is now."""


def of(recipe: Recipe) -> dict[str, Code]:
    """The foreign code that a recipe names, by its subject, such as `network 'nets:wide'`; often empty.

    A MemstudyError if some of it is not there, or cannot be loaded. Of a run that memstudy did not train there is
    none: names in its recipe stand for what somebody else has.
    """
    if recipe.trainer:
        return {}
    entries: list[tuple[Registry, str]] = [(REGULARIZERS, method.name) for method in recipe.regularizers]
    entries.append((RULES, recipe.corruption.rule))
    if recipe.dataset in SOURCES.names():  # else the user's own files, whose content is recorded anyway
        entries.append((SOURCES, recipe.dataset))
    codes = {f"{table.kind} {name!r}": table.code(table.check(name)) for table, name in entries}
    codes[f"network {recipe.network!r}"] = models.code(recipe.network)
    return {subject: code for subject, code in codes.items() if code is not None}


def record(codes: Mapping[str, Code]) -> dict[str, Any]:
    """The entry of state.json: a table of each subject's code under KEY; no entry if there is no foreign code."""
    return {KEY: {subject: code.as_dict() for subject, code in codes.items()}} if codes else {}


def sums(codes: Mapping[str, Code]) -> dict[str, Any]:
    """The entry of recipe.toml: the same key, with check sums alone."""
    return {KEY: {subject: code.sha256 for subject, code in codes.items()}} if codes else {}


def recorded(run: RunDirectory) -> dict[str, Mapping[str, Any]]:
    """What `record` wrote when the run was trained; empty if that was before such records were written."""
    codes: dict[str, Mapping[str, Any]] = run.state().get(KEY, {})
    return codes


def check(run: RunDirectory) -> None:
    """Raise a CodeChanged if the run was trained with other code than there is now."""
    before = recorded(run)
    for subject, now in of(run.recipe).items():
        if subject in before and before[subject]["sha256"] != now.sha256:
            raise CodeChanged(_changed(run, subject, before[subject], now))


def check_before_training(run: RunDirectory) -> None:
    """As `check`, for a run that is finished or would be continued: one that starts anew may use any code."""
    if run.finished or run.has_saved_state:
        check(run)


def check_recorded(recipe: Recipe, known: object) -> None:
    """Raise a CodeChanged if `known`, the check sums from a recipe's file, are those of other code."""
    if not isinstance(known, Mapping):
        return
    for subject, now in of(recipe).items():
        if known.get(subject, now.sha256) != now.sha256:
            raise CodeChanged(
                f"the recipe was recorded with other code of {subject} ({str(known[subject])[:8]}) than there is "
                f"now ({now.sha256[:8]}); bring that back, or remove [recorded] from a copy of the recipe."
            )


def usable(selection: Selection, on_left_out: Callable[[str], None]) -> Selection:
    """The selection without runs whose code has changed or is gone; `on_left_out` is told of each, a sentence.

    A MemstudyError if no run remains, and an Untrusted for code that may not run: to leave that out is no answer.
    """
    kept: list[RunDirectory] = []
    errors: list[MemstudyError] = []
    for run in selection.runs:
        try:
            check(run)
            kept.append(run)
        except Untrusted:
            raise
        except MemstudyError as error:
            text = str(error) if isinstance(error, CodeChanged) else f"{run.name}: {error}"
            errors.append(MemstudyError(text))
    if errors and not kept:
        raise errors[0]
    for refusal in errors:
        on_left_out(str(refusal).rstrip("."))
    return replace(selection, runs=tuple(kept)) if errors else selection


def ask(runs: Sequence[RunDirectory]) -> None:
    """Let the user be asked for all code that the runs name, before anything is written.

    An Untrusted if it may not run. What else is wrong with that code is told when it is used.
    """
    for run in runs:
        try:
            of(run.recipe)
            models.code(run.recipe.network)  # that of a recorded run, too: networks of it may have been kept
        except Untrusted:
            raise
        except MemstudyError:
            continue


def check_all(runs: Sequence[RunDirectory]) -> None:
    """`check_before_training` of a study's runs, before any is trained; the error names all."""
    changed: dict[str, CodeChanged] = {}
    for run in runs:
        try:
            check_before_training(run)
        except CodeChanged as error:
            changed[run.name] = error
    if changed:
        first, *others = changed
        also = f" It is so, too, for {listed(others)}." if others else ""
        raise CodeChanged(f"{changed[first]}{also}")


def _changed(run: RunDirectory, subject: str, before: Mapping[str, Any], now: Code) -> str:
    """The sentence on a run whose code has changed: which modules differ, and what to do."""
    old, new = before["modules"], now.modules
    parts = [
        *(f"{name} was changed" for name in sorted(old.keys() & new.keys()) if old[name] != new[name]),
        *(f"{name} is not used any more" for name in sorted(old.keys() - new.keys())),
        *(f"{name} is new" for name in sorted(new.keys() - old.keys())),
    ]
    if (version := before.get("distribution")) != now.distribution:
        parts.insert(0, f"{version} then, {now.distribution} now")
    shown = ", ".join(parts[:MOST]) + (", …" if len(parts) > MOST else "")
    return (
        f"{run.name} was trained with other code of {subject} ({before['sha256'][:8]}) than there is now "
        f"({now.sha256[:8]}: {shown}); bring the old code back, or give the new one another name, or remove "
        f"{run.path} to train it again."
    )
