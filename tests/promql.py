"""Which metrics and labels an expression of Prometheus names, and which of them no series has."""

from __future__ import annotations

import re
from typing import Final

OF_PROMETHEUS: Final = {"job", "instance"}
"""Labels that Prometheus adds to what it scrapes."""
SELECTOR: Final = re.compile(r"\b(poolsite_\w+|up)\b(?:\{([^}]*)\})?")
GROUPED: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


def labels_used(expression: str) -> dict[str, set[str]]:
    """Return the metrics of an expression with the labels that it compares and groups them by."""
    grouped = {label.strip() for found in GROUPED.findall(expression) for label in found.split(",")}
    used: dict[str, set[str]] = {}
    for name, where in SELECTOR.findall(expression):
        used.setdefault(name, set(grouped)).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", where))
    return used


def untold(expression: str, told: dict[str, set[str]]) -> list[str]:
    """Return what an expression names that no series has."""
    used = {name: labels - OF_PROMETHEUS for name, labels in labels_used(expression).items() if name != "up"}
    missing = [name for name in used if name not in told]
    return missing + [
        f"{name}: {label}"
        for name, labels in used.items()
        for label in sorted(labels - told.get(name, labels))
    ]
