"""Why no pool is made up."""

from __future__ import annotations


class DemoRefused(Exception):
    """There is something that a made-up pool must not stand beside."""
