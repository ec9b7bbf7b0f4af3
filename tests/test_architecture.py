"""The shape that docs/architecture.md describes, proved: who imports whom, what imports load, how long modules are."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("vsearch", "catalog", "indexer", "webui", "migrations")

ALLOWED = {
    "vsearch": ("vsearch",),
    "catalog": ("catalog", "vsearch.core"),
    "indexer": ("indexer", "catalog", "vsearch"),
    "webui": ("webui", "catalog", "vsearch"),
    "migrations": ("migrations", "catalog", "vsearch.core.settings"),
}
"""What each part may import of ours; the longest matching name counts."""

TOP = ("vsearch.cli", "vsearch.training")
"""Nobody outside the command imports these: they stand above everything."""

LIBRARIES = {
    "faiss": ("vsearch.index.class_index",),
    "PIL": ("vsearch.imaging.codec", "vsearch.imaging.color_profiles", "vsearch.training.tags"),
    "captcha": ("vsearch.training.tags",),
    "matplotlib": ("vsearch.training.results.plots",),
    "pillow_heif": ("vsearch.imaging.codec",),
    "keras": ("vsearch.models", "vsearch.training"),
    "tensorflow": ("vsearch.models", "vsearch.training"),
    "flask": ("webui",),
    "sqlalchemy": ("catalog", "indexer", "webui", "migrations"),
    "flask_limiter": ("webui.admission",),
    "waitress": ("webui.connections",),
    "alembic": ("catalog.database", "migrations"),
    "click": ("vsearch.cli", "indexer.cli", "webui.cli"),
    "rich": ("vsearch.cli", "indexer.cli", "webui.cli"),
    "cronsim": ("indexer.jobs.worker",),
    "filelock": ("vsearch.core.lock",),
    "cachetools": ("vsearch.search.serving",),
}
"""The only importers of each library."""

HEAVY = {
    "vsearch.models.network",
    "vsearch.models.networks.pocket_networks",
    "vsearch.models.networks.classic_networks",
    "vsearch.models.networks.layers",
    "vsearch.training.assemble",
    "vsearch.training.augment",
    "vsearch.training.loop.batches",
    "vsearch.training.loop.fit",
    "vsearch.training.loop.frozen_trunk",
    "vsearch.training.loop.phase_setup",
    "vsearch.training.losses",
    "vsearch.training.results.export",
}
"""Modules that need TensorFlow to be imported; others import them inside the function that needs them."""

LONGEST = 400
LONGER_WITH_A_REASON: dict[str, str] = {}
"""Modules over the limit -> why that reads better than two."""


@dataclass(frozen=True)
class Import:
    """One import statement's target, and where it stands."""

    importer: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Return all modules of all packages by name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return a module as Python reads it."""
    return ast.parse(path.read_text(encoding="utf8"))


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of every module, those inside functions too."""
    return tuple(found for name, path in modules().items() for found in imports_of(name, ast.walk(tree(path))))


def imports_of(name: str, nodes: Iterable[ast.AST]) -> Iterator[Import]:
    """Yield what parts of a module import; `from package import module` is an import of that module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno} imports relatively; write the whole name"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield Import(name, whole if whole in modules() else node.module, node.lineno)


def within(name: str, parts: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages or modules, or lies in one."""
    return any(name == part or name.startswith(part + ".") for part in parts)


def allowed_for(importer: str) -> tuple[str, ...]:
    """Return what a module may import of ours."""
    return ALLOWED[max((part for part in ALLOWED if within(importer, (part,))), key=len)]


def test_imports_point_one_way() -> None:
    """The engine and the catalogue do not know each other, nor do the job and the page."""
    ours = [found for found in imports() if within(found.target, PACKAGES)]
    wrong = [str(found) for found in ours if not within(found.target, allowed_for(found.importer))]
    assert wrong == []


@pytest.mark.parametrize("part", TOP)
def test_nothing_imports_what_stands_on_top(part: str) -> None:
    """The command and the training use the others, never the other way round."""
    inside = (part, "vsearch.cli", "indexer.cli", "indexer.jobs", "webui.cli")
    found = [found for found in imports() if within(found.target, (part,)) and not within(found.importer, inside)]
    assert list(map(str, found)) == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_has_its_place(library: str) -> None:
    """One door for pictures, one for FAISS, one for the network."""
    users = [found for found in imports() if within(found.target, (library,))]
    assert [str(found) for found in users if not within(found.importer, LIBRARIES[library])] == []
    assert users, f"nothing imports {library} any more; take it out of the table"


@pytest.mark.slow
def test_imports_load_neither_tensorflow_nor_faiss() -> None:
    """Every module but the few that are TensorFlow can be imported without either: a fresh interpreter is asked."""
    light = [name for name in modules() if name not in HEAVY and not within(name, ("migrations",))]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {'tensorflow', 'keras', 'faiss', 'sklearn'} & sys.modules.keys()\n"
        "    assert not loaded, f'importing {name} loads {loaded}'\n"
    )
    found = subprocess.run([sys.executable, "-c", code, *light], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
def test_collecting_the_tests_loads_no_tensorflow() -> None:
    """Tests import it where they run: pytest imports the modules of those too that are not to be run."""
    heavy = (*HEAVY, "tensorflow", "keras", "faiss", "sklearn")
    files = sorted((ROOT / "tests").rglob("*.py"))
    found = [found for file in files for found in imports_of(file.name, tree(file).body)]
    assert [str(found) for found in found if within(found.target, heavy)] == []


def test_the_heavy_modules_exist() -> None:
    """The list above names no others."""
    assert modules().keys() >= HEAVY


def test_modules_are_short() -> None:
    """A module over the limit has a reason on the list, and the list has no others."""
    long = {name for name, path in modules().items() if len(path.read_text(encoding="utf8").splitlines()) > LONGEST}
    assert long == LONGER_WITH_A_REASON.keys()


def test_every_module_says_what_it_is() -> None:
    """In its first line."""
    silent = [name for name, path in modules().items() if not ast.get_docstring(tree(path))]
    assert silent == []
