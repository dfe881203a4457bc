"""The package: what wheel and sdist hold, what they need, one version, and a clean environment that runs a study.

The last takes minutes and a package index: `make test-package`.
"""

from __future__ import annotations

import ast
import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli_w
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import memstudy
from tests import lowest
from tests.kit.commands import commands
from tests.test_docs import PAGES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "memstudy"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
BESIDE = ("CHANGELOG.md", "CITATION.cff", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml")
"""What an sdist has besides the package."""
LATER = ("adapters", "trackers")
"""Folders whose files are imported only by name, when somebody asks for one: each may need its own extra."""


# Wheel and sdist


def copy(folder: Path) -> Path:
    """The sources alone: building leaves traces, and takes up those of earlier builds."""
    shutil.copytree(PACKAGE, folder / "memstudy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        shutil.copy(ROOT / name, folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path from there."""
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def unzipped(wheel: Path) -> dict[str, bytes]:
    """Every file in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(sdist: Path, into: Path) -> Path:
    """The folder that an sdist unpacks to."""
    with tarfile.open(sdist) as archive:
        archive.extractall(into, filter="data")
    return into / sdist.name.removesuffix(".tar.gz")


def build(hook: str, source: Path, into: Path) -> Path:
    """What a hook of the build backend makes of sources, with the setuptools that is installed."""
    code = f"import sys; from setuptools.build_meta import {hook}; {hook}(sys.argv[1])"
    made = subprocess.run(
        [sys.executable, "-c", code, into], cwd=source, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    (file,) = into.iterdir()
    return file


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The files of the sdist, and of the wheel that is built from it."""
    source, packed, place, wheel = map(tmp_path_factory.mktemp, ("source", "sdist", "unpacked", "wheel"))
    sdist = unpacked(build("build_sdist", copy(source), packed), place)
    return files(sdist), unzipped(build("build_wheel", sdist, wheel))


@pytest.fixture
def sdist(built: tuple[dict[str, bytes], dict[str, bytes]]) -> dict[str, bytes]:
    """The files of the sdist."""
    return built[0]


@pytest.fixture
def wheel(built: tuple[dict[str, bytes], dict[str, bytes]]) -> dict[str, bytes]:
    """The files of the wheel."""
    return built[1]


def ours() -> dict[str, bytes]:
    """Every file of the package that a wheel must have, data files as modules."""
    return {f"memstudy/{name}": data for name, data in files(PACKAGE).items() if "__pycache__" not in name}


def test_the_wheel_is_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    inside = {name: data for name, data in wheel.items() if ".dist-info/" not in name}
    assert sorted(inside) == sorted(ours())
    assert inside == ours()
    kinds = {Path(name).suffix for name in inside}
    assert {".py", ".csv", ".toml", ".typed", ".html", ".css", ".js"} == kinds


def test_the_sdist_is_the_package_and_the_files_beside_it(sdist: dict[str, bytes]) -> None:
    found = {name: data for name, data in sdist.items() if ".egg-info/" not in name}
    made = {"PKG-INFO", "setup.cfg"}  # by the build
    assert sorted(found) == sorted([*ours(), *BESIDE, *made])
    assert {name: found[name] for name in ours()} == ours()


def test_the_wheel_says_what_pyproject_does(wheel: dict[str, bytes]) -> None:
    info = f"memstudy-{memstudy.__version__}.dist-info"
    said = email.message_from_bytes(wheel[f"{info}/METADATA"])
    assert said["Version"] == memstudy.__version__
    assert said["Requires-Python"] == PROJECT["project"]["requires-python"]
    assert set(said.get_all("Provides-Extra", [])) == set(EXTRAS)
    needs = [Requirement(text) for text in said.get_all("Requires-Dist", [])]
    declared = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
    assert {str(need) for need in needs if not need.marker} == {str(need) for need in declared}
    assert b"memstudy = memstudy.cli:main" in wheel[f"{info}/entry_points.txt"]
    assert f"{info}/licenses/LICENSE" in wheel


# What it needs


def names(requirements: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {canonicalize_name(Requirement(text).name) for text in requirements}


NEEDED = names(PROJECT["project"]["dependencies"])
OPTIONAL = names([text for texts in EXTRAS.values() for text in texts])
OWNERS = packages_distributions()
TEXTS = {file: file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py"))}
parsed = cache(ast.parse)


@cache
def owners(module: str) -> set[str]:
    """The packages that a module comes in; where it is not installed, one of the same name."""
    return {canonicalize_name(name) for name in OWNERS.get(module, [module])}


def others(node: ast.AST, later: bool = False) -> Iterator[tuple[str, bool]]:
    """The modules of others that are imported below a node, and whether the file can be imported without them."""
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        modules = [node.module or ""]
    tops = {module.split(".")[0] for module in modules}
    yield from ((top, later) for top in tops if top != "memstudy" and top not in sys.stdlib_module_names)
    later = later or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for child in ast.iter_child_nodes(node):
        yield from others(child, later)


def undeclared(file: Path, text: str) -> list[str]:
    """The modules that a file of ours imports though nobody who installs memstudy was told to have them."""
    on_demand = file.relative_to(PACKAGE).parts[0] in LATER and file.name != "__init__.py"
    return [
        module
        for module, later in others(parsed(text))
        if not owners(module) & NEEDED and not (owners(module) & OPTIONAL and (later or on_demand))
    ]


def test_every_import_is_of_a_declared_package() -> None:
    found = {file: undeclared(file, text) for file, text in TEXTS.items()}
    assert len(found) > 200
    assert {file: modules for file, modules in found.items() if modules} == {}


def test_an_undeclared_import_would_be_noticed() -> None:
    ours, tracker = PACKAGE / "data" / "x.py", PACKAGE / "trackers" / "x.py"
    assert undeclared(ours, "import os, numpy.linalg\nfrom PIL import Image\nfrom memstudy import files") == []
    assert undeclared(ours, "import pytest") == ["pytest"]
    assert undeclared(ours, "def f():\n    import yaml") == ["yaml"]
    assert undeclared(ours, "import ray") == ["ray"]  # an extra: whoever lacks it could not import this file
    assert undeclared(ours, "def f():\n    import ray") == undeclared(tracker, "import mlflow.entities") == []
    assert undeclared(PACKAGE / "trackers" / "__init__.py", "import mlflow") == ["mlflow"]


def test_every_need_is_one() -> None:
    modules = {module for text in TEXTS.values() for module, _ in others(parsed(text))}
    assert NEEDED - {owner for module in modules for owner in owners(module)} == set()


def test_extras_are_for_users_alone() -> None:
    assert set(EXTRAS) & set(PROJECT["dependency-groups"]) == set()
    developers = {
        text for group in PROJECT["dependency-groups"].values() for text in group if isinstance(text, str)
    }
    assert {"pytest", "ruff", "mypy"} <= names(sorted(developers))
    assert not {"pytest", "ruff", "mypy"} & (NEEDED | OPTIONAL)


def test_every_need_has_a_lowest_version() -> None:
    assert {canonicalize_name(name) for name in lowest.constraints()} == NEEDED | OPTIONAL
    assert lowest.lowest("numpy>=2.0") == ("numpy", "2.0")
    assert lowest.lowest("ray[default] >= 2.40") == ("ray", "2.40")


@pytest.mark.parametrize("requirement", ["numpy", "numpy>2", "numpy>=2,<3", "numpy==2.0"])
def test_a_need_without_one_is_refused(requirement: str) -> None:
    with pytest.raises(ValueError, match="is not of the form name>=version"):
        lowest.lowest(requirement)


# One version


CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
VERSION = re.compile(r"memstudy(?:[ -]|==)v?(\d+\.\d+\.\d+)")
HEADINGS = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


def test_the_version_is_said_once_and_repeated_rightly() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", memstudy.__version__)
    assert "version" not in PROJECT["project"]
    assert CITATION["version"] == memstudy.__version__
    assert HEADINGS[0] == memstudy.__version__


def test_pages_name_no_other_version() -> None:
    said = {version for text in PAGES.values() for version in VERSION.findall(text)}
    assert said <= {memstudy.__version__}
    assert VERSION.findall("memstudy 0.1.0, memstudy==0.2.0 and memstudy-0.3.0.tar.gz") == [
        "0.1.0",
        "0.2.0",
        "0.3.0",
    ]


# Citation


PERSON = {
    "properties": {
        "family-names": {"type": "string"},
        "given-names": {"type": "string"},
        "name": {"type": "string"},
    },
    "additionalProperties": False,
    "minProperties": 1,
}
AUTHORS = {"type": "array", "minItems": 1, "items": PERSON}
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
IDENTIFIER = {
    "required": ["type", "value"],
    "properties": {"type": {"enum": ["doi", "url", "swh", "other"]}, "value": {}, "description": {}},
    "additionalProperties": False,
}
REFERENCE = {
    "required": ["authors", "title", "type"],
    "properties": {
        **dict.fromkeys(("title", "journal", "notes"), TEXT),
        **dict.fromkeys(("year", "start", "end"), NUMBER),
        "type": {"enum": ["article", "conference-paper"]},
        "authors": AUTHORS,
        "conference": {"required": ["name"]},
        "identifiers": {"type": "array", "items": IDENTIFIER},
    },
    "additionalProperties": False,
}
SCHEMA = {
    "required": ["cff-version", "message", "title", "authors"],
    "properties": {
        **dict.fromkeys(("abstract", "license", "message", "title", "version"), TEXT),
        "cff-version": {"const": "1.2.0"},
        "type": {"enum": ["software", "dataset"]},
        "keywords": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "authors": AUTHORS,
        "references": {"type": "array", "items": REFERENCE},
    },
    "additionalProperties": False,
}
"""Of the Citation File Format 1.2.0, the part that ours uses."""


def test_the_citation_file_is_valid() -> None:
    jsonschema.validate(CITATION, SCHEMA)


@pytest.mark.parametrize("change", [{"massage": "x"}, {"authors": []}, {"references": [{"title": "AL2"}]}])
def test_a_wrong_citation_file_would_be_noticed(change: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(CITATION | change, SCHEMA)


def test_the_four_papers_are_cited() -> None:
    cited = {paper["notes"].split()[2].rstrip("."): paper for paper in CITATION["references"]}
    said = {name: (paper["authors"][0]["family-names"], paper["year"]) for name, paper in cited.items()}
    assert said == {
        "al2": ("El Helou", 2020),
        "loco": ("Schneider", 2019),
        "normloss": ("Georgiou", 2021),
        "pilcro": ("Moens", 2020),
    }
    assert CITATION["license"] == PROJECT["project"]["license"]
    assert CITATION["authors"] == PROJECT["project"]["authors"]


# A clean environment


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new environment (PyTorch's GPU build takes 6 GB) with the wheel and its needs; then it is removed."""
    place = tmp_path_factory.mktemp("clean")
    source = copy(place / "source")
    try:
        subprocess.run([sys.executable, "-m", "build", "--outdir", place / "dist", source], check=True)
        subprocess.run([sys.executable, "-m", "venv", place / "environment"], check=True)
        (built,) = (place / "dist").glob("*.whl")
        called(place, "pip", "install", "--quiet", str(built))
        yield place
    finally:
        shutil.rmtree(place)


def called(place: Path, program: str, *words: str) -> str:
    """What a program of the clean environment prints, in an empty directory where no checkout is near."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MEMSTUDY", "PYTHON"))}
    plain |= {"MEMSTUDY_CACHE": str(place / "cache"), "HOME": str(place)}
    (place / "empty").mkdir(exist_ok=True)
    command = [str(place / "environment" / "bin" / program), *words]
    answer = subprocess.run(command, cwd=place / "empty", env=plain, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{command} says {answer.stdout}{answer.stderr}"
    return answer.stdout


@pytest.mark.package
def test_sdist_and_checkout_build_the_same_wheel(clean: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", clean / "again", clean / "source"], check=True
    )
    (one,), (other,) = ((clean / folder).glob("*.whl") for folder in ("dist", "again"))
    assert unzipped(one) == unzipped(other)


@pytest.mark.package
def test_it_is_itself_there(clean: Path) -> None:
    assert memstudy.__version__ in called(clean, "memstudy", "--version")
    where = called(clean, "python", "-c", "import memstudy; print(memstudy.__file__)")
    assert Path(where.strip()).is_relative_to(clean / "environment")
    called(clean, "pip", "check")


@pytest.mark.package
def test_every_module_is_imported_with_the_declared_needs_alone(clean: Path) -> None:
    code = f"""
import importlib, pkgutil, memstudy
later = {tuple(f"memstudy.{folder}." for folder in LATER)}
for module in pkgutil.walk_packages(memstudy.__path__, "memstudy."):
    if not module.name.startswith(later) and module.name != "memstudy.__main__":
        importlib.import_module(module.name)
        print(module.name)
"""
    assert len(called(clean, "python", "-c", code).split()) > 200


@pytest.mark.package
def test_the_quick_study_runs_there(clean: Path) -> None:
    """All its recipes and all that it derives, of two epochs and one seed."""
    study = tomllib.loads((PACKAGE / "study" / "shipped" / "quick.toml").read_text(encoding="utf-8"))
    study |= {"name": "short", "seeds": 1, "common": {"epochs": 2}, "report": study["report"] | {"epochs": [1]}}
    (clean / "short.toml").write_text(tomli_w.dumps(study), encoding="utf-8")
    called(clean, "memstudy", "study", str(clean / "short.toml"))
    made = clean / "empty" / "runs" / "studies" / "short"
    suffixes = {file.suffix for file in made.rglob("*") if file.stat().st_size}
    assert {".csv", ".md", ".tex", ".pdf", ".png", ".svg"} <= suffixes
    assert len(called(clean, "memstudy", "runs").splitlines()) > 8
    assert "memorized" in called(clean, "memstudy", "table")


@pytest.mark.package
@pytest.mark.skipif("doctor" not in commands(), reason="there is no memstudy doctor yet")
def test_it_is_well(clean: Path) -> None:
    assert memstudy.__version__ in called(clean, "memstudy", "doctor")
