"""A word in rows of another tenant that no caller may see."""

from __future__ import annotations

from typing import Final

SECRET: Final = "of-the-other-tenant"
"""Stands in rows of a tenant that no caller of ours may see."""
