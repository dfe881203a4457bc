"""Formulas as MathML, which browsers draw by themselves: no script, no font and no image is needed.

docutils translates them. A command that it does not know is a warning, and so fails a strict build.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)
ACCENT = re.compile(r"(\\(?:tilde|bar|hat)\{[^{}]*\})(?=_)")
"""An accent before an index. docutils would put the index below the letter, so it gets a place of its own."""


def _mathml(node: nodes.Element, block: bool) -> str:
    try:
        drawn = tex2mathml(ACCENT.sub(r"\1{}", node.astext()), as_block=block)
        return re.sub("<mo>([|‖])</mo>", r'<mo stretchy="false">\1</mo>', drawn)  # else one of a pair grows alone
    except MathError as error:
        LOG.warning("formula %r: %s", node.astext(), error, location=node)
        return ""


def inline(translator: Any, node: nodes.Element) -> None:
    """Write a formula within a sentence."""
    translator.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def displayed(translator: Any, node: nodes.Element) -> None:
    """Write a formula of its own line, which scrolls where it is wider than the page."""
    translator.body.append(f'<div class="formula">{_mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer; `html_math_renderer` chooses it."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
