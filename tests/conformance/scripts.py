"""The scripts of ``tools/`` as modules, to be tried piece by piece."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).parents[2] / "tools"


@contextmanager
def script_as_module(name: str) -> Iterator[ModuleType]:
    """``tools/NAME.py``, loaded; what that does to `sys` is undone."""
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location(f"nbclient_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]
        sys.path[:] = path
