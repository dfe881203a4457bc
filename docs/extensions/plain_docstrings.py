"""Our docstrings and helps are plain text with `code` in backticks; Sphinx reads them as reStructuredText.

What would be markup there is escaped. Indented lines after an empty one become a block that is shown as it stands;
those that go on a sentence are taken for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx


def sentence(line: str) -> str:
    """A line with its code marked as reStructuredText does, and nothing else taken for markup."""
    code_or_words = re.split(r"(`[^`]+`)", line)
    return "".join(
        f"`{part}`" if at % 2 else re.sub(r"([\\*|`_])", r"\\\1", part) for at, part in enumerate(code_or_words)
    )


def translated(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring, translated."""
    in_block = False
    before = ""
    for line in lines:
        if line.startswith("    ") and (in_block or not before):
            yield from () if in_block else ("", "::", "")
            in_block = True
            yield line
        else:
            if line and in_block:
                yield ""
                in_block = False
            yield sentence(line.lstrip())
        before = line


def of_object(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Translate what autodoc found at a module, class or function."""
    lines[:] = list(translated(lines))


def of_command(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Translate a command's help; its lines that click leaves unwrapped, such as examples, begin with a bar."""
    indented = [re.sub(r"^\|( |$)", "    ", line) for line in lines]
    lines[:] = list(translated(indented))


def of_options(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Translate the helps of options, between the directives that sphinx-click wrote."""
    directive = re.compile(r"\.\. |\s*:default: ")
    lines[:] = [line if directive.match(line) else sentence(line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc and sphinx-click."""
    app.connect("autodoc-process-docstring", of_object)
    app.connect("sphinx-click-process-description", of_command)
    app.connect("sphinx-click-process-options", of_options)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
