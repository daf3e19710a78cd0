"""A button on a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person can do to an object: a POST to `href`."""

    key: str
    label: str
    href: str
    icon: str = ""
    kind: str = ""
    """primary, danger or empty."""
