"""The option sets of every numba kernel; no kernel names an option of its own.

Kernels are serial and release the GIL: a caller spreads rows over threads.  That keeps one
specialisation per kernel (a `parallel=True` twin costs 3 to 10 s to compile) and needs no
numba threading layer, which is unsafe when two threads enter it.
"""

from __future__ import annotations

from typing import Final, Literal, TypedDict


class Flags(TypedDict, total=False):
    """The numba options in use."""

    nogil: bool
    cache: bool
    inline: Literal["always", "never"]
    error_model: Literal["numpy", "python"]


SERIAL: Final = Flags(nogil=True, cache=True, error_model="numpy")
"""A kernel that Python calls: compiled once per machine, run without the GIL."""


STEP: Final = Flags(nogil=True, error_model="numpy")
"""A function that other kernels call and that is cached with them."""
