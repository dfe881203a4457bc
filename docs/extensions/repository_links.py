"""Links of pages that are written for the repository, where they lead out of `docs/`.

Some files of the repository are pages here, too: a page includes each, and takes its links from where it lies. A
link to another file offers that file. A folder is no page: its name stays as text.
"""

from __future__ import annotations

import os.path
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

INCLUDED = {
    "index": "docs/README.md",
    "project/readme": "README.md",
    "project/contributing": "CONTRIBUTING.md",
    "project/changes": "CHANGELOG.md",
    "project/results": "studies/results/README.md",
    "project/examples": "examples/README.md",
    "project/speed": "tests/benchmarks/NOTES.md",
}
"""Pages by what they include, from the repository's root."""
PAGES = {file: page for page, file in INCLUDED.items()}
LARGEST = 300_000
"""Bytes of a file that is offered; of a larger one the name stays as text."""


class RepositoryLinks(SphinxTransform):
    """Leads every link to where its target is on the site, before Sphinx looks for it."""

    default_priority = 5

    def apply(self) -> None:
        """Go through the links and images of a page."""
        self.root = Path(self.env.srcdir).parent
        self.base = str(Path(INCLUDED.get(self.env.docname, f"docs/{self.env.docname}")).parent)
        for link in [*self.document.findall(addnodes.download_reference), *self._links()]:
            self._lead(link)
        if self.env.docname in INCLUDED:
            for image in self.document.findall(nodes.image):
                image["uri"] = os.path.relpath(f"{self.base}/{image['uri']}", "docs/project")

    def _links(self) -> list[addnodes.pending_xref]:
        return [xref for xref in self.document.findall(addnodes.pending_xref) if xref.get("reftype") == "myst"]

    def _lead(self, link: nodes.Element) -> None:
        path, _, anchor = link["reftarget"].partition("#")
        anchor = anchor or link.get("reftargetid") or ""
        if link.get("refdomain") != "doc":
            file = os.path.normpath(f"{self.base}/{path}")
        elif Path(
            path
        ).is_absolute():  # a Markdown file outside of `docs/`, which MyST takes for a page of the site
            file = f"{Path(path).relative_to(self.root)}.md"
        else:
            return
        page = PAGES.get(file) or PAGES.get(f"{file}/README.md") or self._page(file)
        if page:
            link.replace_self(self._to_page(link, page, anchor))
        elif (self.root / file).is_dir() or ((self.root / file).is_file() and self._large(file)):
            link.replace_self(nodes.inline("", "", *link.children, classes=["in-repository"]))
        elif (self.root / file).is_file():
            here = Path(self.env.doc2path(self.env.docname)).parent
            target = os.path.relpath(self.root / file, here)
            link.replace_self(
                addnodes.download_reference("", "", *link.children, reftarget=target, refdoc=self.env.docname)
            )

    def _page(self, file: str) -> str:
        name = file.removeprefix("docs/").removesuffix(".md").removesuffix(".ipynb")
        return name if file.startswith("docs/") and name in self.env.found_docs else ""

    def _large(self, file: str) -> bool:
        return (self.root / file).stat().st_size > LARGEST

    def _to_page(self, link: nodes.Element, page: str, anchor: str) -> addnodes.pending_xref:
        return addnodes.pending_xref(
            "",
            *link.children,
            refdomain="doc",
            reftarget=page,
            reftargetid=anchor or None,
            refdoc=self.env.docname,
            reftype="myst",
            refexplicit=True,
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
