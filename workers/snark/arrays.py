"""Types of the arrays that circuits, points and scalars lie in, and of progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint64]]
"""Limbs of field elements, the lowest first, a row each."""
Integers = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.uint32]]
"""Variables of a circuit, or indices of points."""
Flags = np.ndarray[Any, np.dtype[np.bool_]]

Progress = Callable[[int, int], None]
"""Called with what is done and the total; what it raises stops the work."""


def silent(done: int, total: int) -> None:
    """Report progress to nobody."""
