"""The shape of the package: imports point only downwards, and nothing in it can run code out of a file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import memstudy

PACKAGE = Path(memstudy.__file__).parent
LAYERS = (
    (
        "errors",
        "lazy",
        "processes",
        "files",
        "lease",
        "foreign",
        "garbage",
        "trust",
        "spreadsheet",
        "registry",
        "randomness",
        "options",
        "recipe",
    ),
    ("data",),
    ("models",),
    ("regularizers",),
    ("distinctions", "presets"),
    ("analysis",),
    ("training",),
    ("store",),
    ("report",),
    ("trackers",),
    ("derived",),
    ("papers",),
    ("study",),
    ("api",),
    ("adapters",),
    ("cli",),
    ("__main__", "__init__"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(tree):
    """Every module or attribute that a file imports, as dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def upward(file, text):
    """The imports of a file that point to a higher layer, or to one that nobody has ranked."""
    own = RANK.get(file.relative_to(PACKAGE).parts[0].removesuffix(".py"), -1)
    parts = (name.split(".") for name in imported(ast.parse(text)))
    layers = [p[1] for p in parts if p[0] == "memstudy" and len(p) > 1 and p[1] != "__version__"]
    return [layer for layer in layers if RANK.get(layer, 99) > own]


def unsafe(text):
    """The ways to run code from a data file that a source text uses."""
    tree = ast.parse(text)
    bad = [name for name in imported(tree) if name.split(".")[0] in ("pickle", "dill", "joblib", "shelve")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save"):
            bad.append(ast.unparse(node))
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            bad.append("allow_pickle")
    return bad


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_only_downwards(file):
    assert upward(file, file.read_text()) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_unpickles(file):
    assert unsafe(file.read_text()) == []


def test_the_checks_can_fail():
    assert upward(PACKAGE / "data" / "x.py", "from memstudy.models import build") == ["models"]
    assert upward(PACKAGE / "data" / "x.py", "def f():\n    from memstudy import study") == ["study"]
    assert upward(PACKAGE / "data" / "x.py", "from memstudy import novelty") == ["novelty"]
    assert unsafe("import pickle") == ["pickle"]
    assert unsafe("x = torch.load(f)") == ["torch.load"]
    assert unsafe("x = torch.load(f, weights_only=True)") == ["torch.load"]  # a file can crash that, too
    assert unsafe("read = torch.load") == ["torch.load"]
    assert unsafe("np.load(f, allow_pickle=True)") == ["allow_pickle"]


def test_every_part_of_the_package_has_a_layer():
    parts = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in FILES}
    assert parts <= set(RANK)


@pytest.mark.parametrize("module", ["options", "recipe", "registry", "foreign", "errors", "randomness"])
def test_the_lowest_layer_needs_no_torch(module):
    code = f"import sys, memstudy.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tables_need_no_torch():
    code = (
        "import sys; from memstudy.study.tables import make_tables; from memstudy.derived import loadable;"
        "from memstudy.papers import TABLES; loadable(TABLES); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


IMPORTERS = {"__init__.py", "lazy.py", "study/__init__.py", "models/own.py", "registry.py", "foreign.py"}
"""Files that import by a name they are given: our own names, or after `memstudy.trust` was asked."""


def imports_by_name(text):
    """Whether a file may import a module whose name is not written in it."""
    called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    importing = any(name.split(".")[-1] in ("import_module", "exec_module") for name in called)
    return importing or not called.isdisjoint({"__import__", "exec", "eval"})


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_code_is_imported_by_name_in_few_places(file):
    assert not imports_by_name(file.read_text(encoding="utf-8")) or str(file.relative_to(PACKAGE)) in IMPORTERS


def test_an_import_by_name_is_noticed():
    assert imports_by_name("import importlib\nimportlib.import_module(name)")
    assert not imports_by_name("import math\nmath.sqrt(4)")
