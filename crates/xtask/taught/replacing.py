"""Replacing a function of the emulator, and never one that is not there."""

import sys
from types import ModuleType
from typing import Any, Callable


def wrap(module: ModuleType, name: str, make: Callable[[Callable], Any]) -> None:
    """Puts `make(original)` in the place of `module.name`."""
    original = getattr(module, name, None)
    if not callable(original):
        sys.exit(f"crates/xtask/taught replaces {module.__name__}.{name}, which this emulator does not have")
    setattr(module, name, make(original))
