"""How the documentation site is built, by `make docs`. Nothing is fetched, neither then nor when it is read."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "extensions"), str(DOCS.parent)]

import memstudy  # noqa: E402 (found by the line above)

project = "memstudy"
author = copyright = "The memstudy developers"
version = release = memstudy.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "mathml",
    "plain_docstrings",
    "repository_links",
]
root_doc = "index"
exclude_patterns = ["_build", "extensions", "README.md"]  # README.md is what GitHub shows; index.md includes it
smartquotes = False  # -- is part of an option, not a dash
nitpicky = True
nitpick_ignore_regex = [  # types in signatures: other packages', and those of ours that are not public
    ("py:.*", r"(torch|numpy|np|pandas|pd|pathlib|click|altair|collections|nn|Tensor|Array).*"),
    ("py:class", r"memstudy\..*"),
]

# Pages are written to be read on GitHub, too: its anchors, its formulas, links between files.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_all_links_external = False

# Notebooks are executed for each build, anew and without leaving anything beside them.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True

highlight_language = "none"  # of code that names no language: commands and their output

html_theme = "furo"
html_title = f"memstudy {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "tango"
