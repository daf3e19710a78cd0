"""The query by which a head decides whether a rule is on: apps/chain/heads/steps.py."""

from __future__ import annotations

from typing import Final

RULES: Final = "SELECT 1 FROM automation_autorule WHERE is_on LIMIT 1"
"""A rule is on."""
