"""Run directories: the truth about every run, readable without this program."""

from memstudy.store.run import RunDirectory
from memstudy.store.state import Status
from memstudy.store.store import Store

__all__ = ["RunDirectory", "Status", "Store"]
