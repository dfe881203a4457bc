"""What the values of options are read as. Click then says which option a mistake was in."""

from __future__ import annotations

from typing import Any

import click

from memstudy.errors import quoted


class EpochList(click.ParamType):
    """`"80,120"` → `(80, 120)`."""

    name = "epochs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Whole numbers from 0 on; a default of a command is taken as it is."""
        if not isinstance(value, str):
            return tuple(value)
        try:
            found = tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            found = ()
        if not found or min(found) < 0:
            self.fail(f"it takes epochs, such as 80,120, not {quoted(value)}.", param, ctx)
        return found
