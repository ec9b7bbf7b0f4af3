"""Import directions, lightweight imports, module sizes and names, and the module map of docs/architecture.md."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

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
"""Package -> our packages that its modules may import."""

TOP = {
    "vsearch.cli": ("vsearch.cli", "indexer.cli", "webui.cli", "indexer.jobs"),
    "vsearch.training": ("vsearch.training", "vsearch.cli", "indexer.cli", "indexer.jobs"),
}
"""Top-level packages -> the only packages that may import them."""

LIBRARIES = {
    "faiss": ("vsearch.index.index_policy",),
    "PIL": (
        "vsearch.imaging.codec",
        "vsearch.imaging.color_profiles",
        "vsearch.training.tags",
        "vsearch.cli.bench_query",
    ),
    "captcha": ("vsearch.training.tags",),
    "matplotlib": ("vsearch.training.results.plots",),
    "pillow_heif": ("vsearch.imaging.codec",),
    "keras": ("vsearch.models", "vsearch.training"),
    "tensorflow": ("vsearch.models", "vsearch.training", "vsearch.cli.bench_query"),
    "flask": ("webui",),
    "sqlalchemy": ("catalog", "indexer", "webui", "migrations"),
    "flask_limiter": ("webui.admission",),
    "flask_babel": ("webui",),
    "flask_login": ("webui.admin.access",),
    "flask_wtf": ("webui.admin.access",),
    "argon2": ("catalog.accounts",),
    "waitress": ("webui.connections",),
    "snowballstemmer": ("catalog.stems",),
    "alembic": ("catalog.database", "migrations"),
    "click": ("vsearch.cli", "indexer.cli", "webui.cli"),
    "rich": ("vsearch.cli", "indexer.cli", "webui.cli"),
    "httpx": ("vsearch.client",),
    "cronsim": ("indexer.jobs.worker", "webui.admin.models"),
    "filelock": ("vsearch.core.lock",),
    "opentelemetry": ("vsearch.core.tracing",),
    "cachetools": ("vsearch.search.heat_map", "vsearch.search.serving", "webui.admin.overview", "webui.state_metrics"),
}
"""Library -> the only modules that import it; `bench_query` does so as tutorials do."""

HEAVY_LIBRARIES = {"tensorflow", "keras", "faiss", "sklearn"}
HEAVY_PACKAGES = ("vsearch.training", "vsearch.models.network", "vsearch.models.networks", "migrations")
"""Importing a module from any other package must not load a heavy library."""

CLIENT = "vsearch.client"
CLIENT_LIBRARIES = {"anyio", "httpx"}

GENERATED = ("vsearch.client.answer_types", "vsearch.client.request_types")
"""Modules whose classes have the names of the API's."""

MAX_LINES = 400
SHARED_NAMES = {"accounts", "api_keys", "errors", "jobs", "models", "review"}
"""Names of modules with the same subject in several packages, such as a command and what it runs."""


class Import(NamedTuple):
    importer: str
    target: str
    line: int


@cache
def modules() -> dict[str, Path]:
    """Return all modules of the packages by dotted name."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf8"))


@cache
def imports() -> tuple[Import, ...]:
    """Return all imports of all modules, including those inside functions."""
    return tuple(found for name, path in modules().items() for found in imports_of(name, ast.walk(tree(path))))


def imports_of(name: str, nodes: Iterable[ast.AST]) -> Iterator[Import]:
    """Yield the imports among the nodes of a module; `from package import module` is an import of that module."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{name}:{node.lineno} imports relatively"
            for alias in node.names:
                target = f"{node.module}.{alias.name}"
                yield Import(name, target if target in modules() else node.module, node.lineno)


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_imports_point_in_one_direction():
    """vsearch and catalog do not import each other, nor do indexer and webui."""
    ours = [found for found in imports() if within(found.target, PACKAGES)]
    assert [found for found in ours if not within(found.target, ALLOWED[found.importer.split(".")[0]])] == []


@pytest.mark.parametrize("package", TOP)
def test_only_commands_and_jobs_import_commands_and_training(package):
    found = [found for found in imports() if within(found.target, (package,))]
    assert [each for each in found if not within(each.importer, TOP[package])] == []


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_imported_in_one_place(library):
    users = [found for found in imports() if within(found.target, (library,))]
    assert users
    assert [found for found in users if not within(found.importer, LIBRARIES[library])] == []


@pytest.mark.slow
def test_imports_load_neither_tensorflow_nor_faiss():
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = {HEAVY_LIBRARIES} & sys.modules.keys()\n"
        "    assert not loaded, f'importing {name} loads {loaded}'\n"
    )
    light = [name for name in modules() if not within(name, HEAVY_PACKAGES)]
    done = subprocess.run([sys.executable, "-c", code, *light], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_client_imports_little():
    """Programs that only call the API need not install or load anything else."""
    found = {
        each.target for each in imports() if within(each.importer, (CLIENT,)) and not within(each.target, (CLIENT,))
    }
    assert {name.split(".")[0] for name in found} - sys.stdlib_module_names == CLIENT_LIBRARIES
    code = "import sys, vsearch.client; print([name for name in sys.argv[1:] if name in sys.modules])"
    heavy = [*HEAVY_LIBRARIES, "flask", "numpy", "openvino", "PIL", "pydantic", "sqlalchemy"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_test_modules_import_heavy_libraries_inside_functions_only():
    """Otherwise collecting the tests would load TensorFlow."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    found = [found for file in files for found in imports_of(str(file), tree(file).body)]
    assert [each for each in found if within(each.target, HEAVY_LIBRARIES)] == []


def test_modules_are_at_most_400_lines_long():
    lengths = {name: len(path.read_text(encoding="utf8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_module_and_class_names_are_unique():
    """A duplicate name leads readers to the wrong file."""
    stems = Counter(path.stem for path in modules().values() if path.stem != "__init__")
    classes = Counter(
        node.name
        for name, path in modules().items()
        if name not in GENERATED
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in stems.items() if count > 1} <= SHARED_NAMES
    assert {name for name, count in classes.items() if count > 1} <= {"Table"}


def test_the_architecture_page_lists_every_module_once():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf8")
    block = re.search(r"<!-- every module.*?-->\s```\n(.*?)```", text, flags=re.DOTALL)
    assert block
    listed = [
        f"{folder}/{stem}.py" for line in block[1].splitlines() for folder, *stems in [line.split()] for stem in stems
    ]
    files = [path.relative_to(ROOT).as_posix() for path in modules().values()]
    files = [file for file in files if not file.endswith("__init__.py") and "versions" not in file]
    assert sorted(listed) == sorted(files)


def test_the_files_that_the_architecture_page_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf8")
    named = re.findall(r"`((?:vsearch|catalog|indexer|webui|migrations)/[\w./]*)`", text)
    assert len(named) > 20
    assert [path for path in named if not (ROOT / path).exists()] == []
