"""Units in which bytes are counted."""

from __future__ import annotations

from typing import Final

KIB: Final = 1 << 10
"""Bytes of a KiB."""
MIB: Final = 1 << 20
"""Bytes of a MiB."""
GIB: Final = 1 << 30
"""Bytes of a GiB."""
TIB: Final = 1 << 40
"""Bytes of a TiB."""
