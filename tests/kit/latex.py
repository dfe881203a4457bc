"""Tables compiled by a real LaTeX, and what it complains of."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from memstudy.report.table import Table
from memstudy.report.typesetting import Typesetting

PACKAGES = ("booktabs", "graphicx", "array", "tabularx", "siunitx")
PAGE = 550.0
"""Points: the height of letter paper's text in LaTeX's own classes."""


@cache
def _missing() -> str:
    """Why tables cannot be compiled here; nothing if they can."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return "there is no LaTeX (Debian: texlive-latex-recommended texlive-science)"
    files = [f"{package}.sty" for package in PACKAGES]
    found = subprocess.run(["kpsewhich", *files], capture_output=True, text=True, check=False).stdout
    absent = [name for name in files if name not in found]
    return (
        f"LaTeX has no {', '.join(absent)} (Debian: texlive-latex-recommended texlive-science)" if absent else ""
    )


def needed() -> None:
    """Skip the test, and say why, where there is no LaTeX."""
    if reason := _missing():
        pytest.skip(reason)


def document(tables: Sequence[Table], typesetting: Typesetting, font: str = "") -> str:
    """A document with that text width; its preamble has what the tables' comments ask for, and nothing else."""
    needed()
    texts = [table.latex(typesetting) for table in tables]
    lines = [line for text in texts for line in text.splitlines()]
    packages = dict.fromkeys(line.removeprefix("% ") for line in lines if line.startswith(r"% \usepackage"))
    measured = [text.replace(r"}\ifdim", r"}\typeout{BLOCK \the\wd0}\ifdim") for text in texts]
    return "\n".join(
        [
            r"\documentclass[10pt]{article}", *packages, font,
            rf"\textwidth={typesetting.width}in \columnwidth=\textwidth \hsize=\textwidth \linewidth=\textwidth",
            rf"\textheight={PAGE}pt", r"\begin{document}", "\n\\clearpage\n".join(measured), r"\end{document}",
        ]
    )  # fmt: skip


def compiled(text: str, folder: Path) -> tuple[list[str], list[float]]:
    """What LaTeX complains of, of errors, boxes and floats that are too large, and how wide each block is."""
    (folder / "tables.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-no-shell-escape", "-recorder", "tables.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=False)
    log = (folder / "tables.log").read_text("latin1")
    bad = [line for line in log.splitlines() if re.match(r"!|Overfull|LaTeX Warning: (Float|Unused)", line)]
    assert done.returncode == 0 or bad
    assert "Output written" in log
    return bad, [float(wide) for wide in re.findall(r"BLOCK ([\d.]+)pt", log)]


def opened(folder: Path) -> set[str]:
    """What LaTeX read and wrote in a folder in which it has `compiled`, by the names that it has for the files."""
    return set((folder / "tables.fls").read_text().splitlines())
