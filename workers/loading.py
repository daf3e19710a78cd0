"""Loading by name of what few processes need, and those late: it costs others no memory and no start time."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def loaded(name: str) -> Any:
    """Return what `module:name` names; the module is loaded with the first call."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
