"""For each kind of name two functions: all names, for a shell to complete, and a check of one name.

The former (`presets`) are called at every press of the Tab key, so they import no torch; they get the command line
so far and the beginning of the name. The latter (`preset`) return a known name, and raise a MemstudyError with the
nearest names for others. What is named on the command line may run, if it is others' code (`memstudy.trust`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from memstudy.store import Store


def presets(context: click.Context, begun: str) -> list[str]:
    """Names of presets."""
    from memstudy.presets import PRESETS

    return list(PRESETS)


def preset(name: str) -> str:
    """A preset's name, checked."""
    from memstudy.presets import get

    get(name)
    return name


def regularizers(context: click.Context, begun: str) -> list[str]:
    """Names of regularizers, of other packages too, and `bare`."""
    from memstudy.regularizers import BARE, REGULARIZERS

    return [BARE, *REGULARIZERS.names()]


def regularizer(text: str) -> str:
    """Names of regularizers joined by +, checked."""
    from memstudy import trust
    from memstudy.regularizers import checked

    trust.allow(("regularizer", name) for name in checked(text))
    return text


def networks(context: click.Context, begun: str) -> list[str]:
    """Names of networks; torchvision's and the user's own are written out."""
    from memstudy.models import NETWORKS

    return NETWORKS.names()


def network(name: str) -> str:
    """A network's name, checked; one with a colon is known when it is built."""
    from memstudy import trust
    from memstudy.models import known

    trust.allow([("network", known(name))])
    return name


def rules(context: click.Context, begun: str) -> list[str]:
    """Names of corruption rules."""
    from memstudy.data import RULES

    return RULES.names()


def rule(name: str) -> str:
    """A corruption rule's name, checked."""
    from memstudy import trust
    from memstudy.data import RULES

    trust.allow([(RULES.kind, RULES.check(name))])
    return name


def data_sets(context: click.Context, begun: str) -> list[str]:
    """Names of image sets, and of the user's own in the data directory."""
    from memstudy.data import SOURCES, own_sets

    users = own_sets.names(own_sets.data_directory(context.params.get("data_dir")))
    return [*SOURCES.names(), *(name for name in users if name not in SOURCES.names())]


def data_set(text: str) -> str:
    """An image set's name, or the path of a user's own; it is known when it is looked for."""
    from memstudy import trust
    from memstudy.data import SOURCES

    trust.allow([(SOURCES.kind, text)])
    return text


def trackers(context: click.Context, begun: str) -> list[str]:
    """Names of trackers, of other packages too."""
    from memstudy.trackers import TRACKERS

    return TRACKERS.names()


def tracker(name: str) -> str:
    """A tracker's name, checked; whether its package is there is seen when it is connected to."""
    from memstudy.trackers import TRACKERS

    return TRACKERS.check(name)


def devices(context: click.Context, begun: str) -> list[str]:
    """Names of devices, without a GPU's number."""
    return ["auto", "cpu", "cuda"]


def runs(context: click.Context, begun: str) -> list[str]:
    """Names of the runs in the store that are not on the command line yet."""
    given = {*(context.params.get("runs") or ()), str(context.params.get("target"))}  # whose place is last
    return [name for name in _store(context).names() if name not in given]


def studies(context: click.Context, begun: str) -> list[str]:
    """Names of the studies in the store, the newest first, and of the whole store."""
    from memstudy.store.store import WHOLE_STORE

    return [*_store(context).studies(), WHOLE_STORE]


def studies_and_runs(context: click.Context, begun: str) -> list[str]:
    """Names of studies and of runs in the store that are not on the command line yet."""
    given = context.params.get("runs") or ()
    return [*(name for name in studies(context, begun) if name not in given), *runs(context, begun)]


def study_files(context: click.Context, begun: str) -> list[str]:
    """Studies that come with memstudy, subcommands in the place of the first one, and TOML files.

    The files are those here, or in a folder that the text begins or names.
    """
    from memstudy.study import shipped

    verbs = list(getattr(context.command, "commands", ())) if not context.params.get("files") else []
    folder = Path(begun) if begun.endswith(os.sep) else Path(begun).parent
    paths = [path for pattern in ("*.toml", "*/*.toml") for path in folder.glob(pattern)]
    files = sorted(str(path) for path in paths if not path.parent.name.startswith("."))
    return [*shipped.names(), *verbs, *files]


def study_file(text: str) -> Path:
    """A study's file, by the name of the study or by its path; a name is checked."""
    from memstudy.study import shipped

    return shipped.find(text)


def scales(context: click.Context, begun: str) -> list[str]:
    """Names of the scales of the studies on the command line."""
    from memstudy.study import shipped

    # click has not read the arguments of a line that ends in an option without its value
    files = context.params.get("files") or [shipped.find(word) for word in context.args]
    return list(dict.fromkeys(scale for file in files for scale in shipped.scales(file)))


def _store(context: click.Context) -> Store:
    from memstudy.store import Store

    return Store(Path(context.params.get("runs_dir") or os.environ.get("MEMSTUDY_RUNS") or "runs"))
