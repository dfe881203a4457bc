"""The former name of a table, until everything that uses it has moved."""

from memstudy.report.table import Table as Sheet

__all__ = ["Sheet"]
