"""The layers hold: imports point down, each outside thing has one door, and importing does nothing."""

import ast
import graphlib
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from importlinter.cli import lint_imports

from driftloop.settings import ROOT

PACKAGES = ("driftloop", "monitoring", "prediction_service", "examples")
SOURCES = sorted([*ROOT.glob("*.py"), *(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))])
TRAVELLERS = (
    "handler.py",
    "elec_model.py",
    "driftloop/training/table/table_model.py",
    "driftloop/training/pyfunc_rows.py",
)  # inside the .mar or the MLflow model, alone
OURS = {*PACKAGES, *(path.stem for path in ROOT.glob("*.py"))}

STARTS_PROCESSES = ("subprocess", "multiprocessing", "os.fork", "os.forkpty", "os.system", "os.popen", "os.spawn", "os.exec", "os.posix_spawn", "pty.spawn")
IMPORT_ALL = """
import importlib, os, pkgutil, threading
import driftloop

for module in pkgutil.walk_packages(driftloop.__path__, "driftloop."):
    importlib.import_module(module.name)
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        assert not children.read(), f"{module.name} started a process"
    ours = [thread for thread in threading.enumerate() if "driftloop" in str(getattr(thread, "_target", ""))]
    assert not ours, f"{module.name} started {ours}"
"""


def run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, without what stands under `if TYPE_CHECKING`: it is never run."""
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from run_nodes(child)


def used_names(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, or reaches through a module it imported, such as "os.fork" after `import os`."""
    nodes = list(run_nodes(ast.parse(path.read_text(), str(path))))
    bound: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                bound[alias.asname or alias.name.partition(".")[0]] = alias.name if alias.asname else alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in nodes:
        if isinstance(node, ast.Attribute):
            root, _, rest = ast.unparse(node).partition(".")
            if root in bound:
                yield f"{bound[root]}.{rest}"


def users_of(*prefixes: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in SOURCES if any(name.startswith(prefixes) for name in used_names(path))}


def test_imports_point_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True) == 0


def test_every_module_of_the_package_has_a_layer() -> None:
    layers = (ROOT / ".importlinter").read_text().split()
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT / "driftloop")])}
    assert {name for name in modules if f"driftloop.{name}" not in layers} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_room_is_crowded_and_each_says_what_lives_there(package: str) -> None:
    for init in (ROOT / package).rglob("__init__.py"):
        assert len(list(init.parent.glob("*.py"))) <= 13, f"{init.parent.relative_to(ROOT)}: more than twelve modules beside its __init__"
    for path in (ROOT / package).rglob("*.py"):
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
        assert first.endswith((".", ":", "?")) and len(first) > 20, f"{path.relative_to(ROOT)} does not say in its first line what it is for: {first!r}"


def test_no_two_modules_and_no_two_public_classes_share_a_name() -> None:
    modules = [path for path in SOURCES if path.stem not in {"__init__", "__main__"} and path.parent != ROOT]
    assert {name for name, times in Counter(path.stem for path in modules).items() if times > 1} == set()
    classes = [node.name for path in modules for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    assert {name for name, times in Counter(classes).items() if times > 1} == set()


def test_no_module_of_the_package_imports_in_a_circle() -> None:
    graph = grimp.build_graph("driftloop", cache_dir=None)
    below = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    graphlib.TopologicalSorter(below).prepare()  # raises CycleError and names the circle


def test_pyarrow_is_loaded_only_where_its_absence_is_one_line() -> None:
    assert users_of("pyarrow") == {"driftloop/data/files/arrow.py", "driftloop/data/files/tables.py"}


def test_only_tracking_uses_the_client_api_of_mlflow() -> None:
    assert users_of("mlflow.tracking", "mlflow.MlflowClient", "mlflow.client") == {"driftloop/tracking/mlflow_store.py"}


def test_only_processes_starts_processes() -> None:
    assert users_of(*STARTS_PROCESSES) == {"driftloop/system/processes.py"}


@pytest.mark.parametrize(("library", "door"), [("pymongo", "monitoring/log/mongo.py"), ("prometheus_client", "monitoring/prometheus.py")])
def test_an_outside_library_has_one_door(library: str, door: str) -> None:
    assert users_of(library) == {door}


@pytest.mark.parametrize("name", TRAVELLERS)
def test_what_travels_in_the_archive_imports_nothing_of_ours(name: str) -> None:
    assert {used.partition(".")[0] for used in used_names(ROOT / name)} & (OURS - {Path(name).stem}) == set()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="child processes are listed in Linux's /proc")
def test_importing_the_package_starts_nothing_and_writes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{IMPORT_ALL}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import os\nos.fork()", "os.fork"),
        ("import os as o\no.fork()", "os.fork"),
        ("from os import fork as f\nf()", "os.fork"),
        ("def later():\n    import mlflow\n    return mlflow.MlflowClient()", "mlflow.MlflowClient"),
        ("import mlflow.tracking as t", "mlflow.tracking"),
        ("import os\nif True:\n    run = os.spawnlp", "os.spawnlp"),
    ],
)
def test_no_spelling_of_a_forbidden_name_escapes(tmp_path: Path, code: str, name: str) -> None:
    path = tmp_path / "sample.py"
    path.write_text(code)
    assert name in set(used_names(path))


def test_an_import_for_type_checking_only_is_no_use(tmp_path: Path) -> None:
    path = tmp_path / "sample.py"
    path.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mlflow.tracking import MlflowClient")
    assert set(used_names(path)) == {"typing.TYPE_CHECKING"}


def test_the_unit_tests_load_no_heavy_library() -> None:
    """So that one file of them answers in seconds."""
    heavy = {"torch", "mlflow", "pymongo", "pytorch_lightning"}
    code = f"import sys, pytest; pytest.main(['-q', '--collect-only', 'tests/unit']); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
