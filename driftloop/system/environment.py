"""Reports a missing environment in one line: the wrong Python, or a missing package. Standard library only."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import TracebackType

from driftloop.settings import ROOT

OURS = frozenset({"driftloop", "monitoring", "prediction_service", "examples", "benchmarks"})
CORE = ("torch", "mlflow")  # if one is missing, the environment is not set up or not activated
OTHER_NAMES = {"bson": "pymongo", "pydantic_core": "pydantic", "werkzeug": "flask"}  # module -> the package that provides it


def missing(error: ModuleNotFoundError) -> str:
    """What to do about a package that is not installed, in one line; "" when the module is ours: not a matter of the environment."""
    module = (error.name or "").partition(".")[0]
    if not module or module in OURS or (ROOT / f"{module}.py").is_file():
        return ""
    return f"Python {sys.version.split()[0]} ({sys.executable}) has no package {module}: {_advice(module)}"


def complete() -> bool:
    """Whether the core packages are installed."""
    return all(importlib.util.find_spec(name) for name in CORE)


def _advice(module: str) -> str:
    if not complete():
        made = ROOT / ".venv"
        entered = Path(sys.prefix).resolve() == made.resolve()
        return "run `source .venv/bin/activate` first" if made.is_dir() and not entered else "run `make setup`, then `source .venv/bin/activate`"
    package = OTHER_NAMES.get(module, module.replace("_", "-"))
    extra = next((path.name for path in sorted(ROOT.glob("requirements-*.txt")) if _names(path, package)), "requirements.txt")
    return f"run `pip install -r {extra} -c requirements.lock`"


def _names(path: Path, package: str) -> bool:
    return re.search(rf"^{re.escape(package)}==", path.read_text(encoding="utf-8"), re.MULTILINE | re.IGNORECASE) is not None


def explain_missing() -> None:
    """Make `python -m` of the calling package end with one line, not a traceback, when a package is not installed.

    Its modules import at their top, before any of their code runs. Imports other than by
    `python -m` (argv[0] is "-m" while it looks for the module) are unaffected.
    """
    if sys.argv[:1] == ["-m"]:
        sys.excepthook = _hook


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    line = missing(error) if isinstance(error, ModuleNotFoundError) else ""
    if line:
        print(f"{Path(sys.argv[0]).name}: error: {line}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
