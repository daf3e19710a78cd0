"""A button on a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a person can do to an object: a POST to `href`, or a page that asks first."""

    key: str
    label: str
    href: str
    icon: str = ""
    kind: str = ""
    """primary, danger or empty."""
    asks: bool = False
    """`href` is a page with a question; the label ends with an ellipsis."""
