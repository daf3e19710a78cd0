"""Amounts of bytes in words."""

from __future__ import annotations

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size_text(count: int) -> str:
    """Return an amount in the largest unit that it fills: `68,719,476,736` is `64.0 GiB`."""
    power = min((max(count, 1).bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{count} bytes" if power == 0 else f"{count / 1024**power:,.1f} {UNITS[power]}"
