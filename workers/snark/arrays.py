"""Types of the arrays that circuits, points and scalars lie in."""

from __future__ import annotations

from typing import Any

import numpy as np

Words = np.ndarray[Any, np.dtype[np.uint64]]
"""Limbs of field elements, the lowest first, a row each."""
Integers = np.ndarray[Any, np.dtype[np.int64]]
Codes = np.ndarray[Any, np.dtype[np.uint32]]
"""Variables of a circuit, or indices of points."""
Flags = np.ndarray[Any, np.dtype[np.bool_]]
