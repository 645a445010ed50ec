"""What is imported when it is first used, and how: names of our own packages, modules that libraries import unasked."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def lazily(package: str, module_of: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562), by the module that each of its public names is in."""
    names = vars(sys.modules[package])

    def get(name: str) -> Any:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        names[name] = getattr(import_module(f"{package}.{module_of[name]}"), name)
        return names[name]

    return get, lambda: sorted({*names, *module_of})


def defer(name: str) -> None:
    """Let a module be loaded when something of it is first asked for, wherever it is imported from now on.

    Nothing happens if it is loaded already, or not there.
    """
    parent, _, child = name.rpartition(".")
    if name in sys.modules:
        return
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # not even its package is there
        return
    if spec is None:
        return
    module = sys.modules[name] = _Deferred(name)
    module.__spec__ = spec
    if parent:
        setattr(sys.modules[parent], child, module)


@contextmanager
def without_collection() -> Iterator[None]:
    """Import and load without looking for garbage in between: nearly all that is made there stays.

    It is a fifth of the time that torch, diffusers and transformers take.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _Deferred(ModuleType):
    """Stands for a module until it is loaded."""

    def __getattr__(self, attribute: str) -> Any:
        # Who looks through all modules asks for such names, as `inspect` does; who imports from this one for these two.
        if attribute.startswith("__") and attribute not in ("__path__", "__all__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r} before it is loaded")
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = import_module(self.__name__)
        vars(self).update((name, value) for name, value in vars(module).items() if not name.startswith("__"))
        return getattr(module, attribute)
