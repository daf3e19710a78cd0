"""Writing miners: made, imported, transferred, removed, and what the chain says about them."""

from __future__ import annotations
