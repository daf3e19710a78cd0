"""Whether the product has a transaction open, beside the one in which pytest-django rolls a test back."""

from __future__ import annotations

from django.db import connections


def is_transaction_open() -> bool:
    """Return whether rows may be locked now until a transaction of the product ends."""
    blocks = connections["default"].atomic_blocks
    return any(not getattr(block, "_from_testcase", False) for block in blocks)
