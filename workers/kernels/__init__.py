"""The computations on plain arrays, compiled by numba; importing them compiles nothing."""

from __future__ import annotations

from workers.kernels.cache import cache_use

cache_use()
