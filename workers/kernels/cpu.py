"""Which instructions this machine has, and so which path a kernel takes.

`POOLSITE_KERNELS=portable` in the environment forces the portable path (tests, comparisons).
"""

from __future__ import annotations

import functools
import os

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # llvmlite has no types

FORCE_VARIABLE = "POOLSITE_KERNELS"
"""Environment variable; the value `portable` turns off every special instruction."""


@functools.cache
def _host_has(feature: str) -> bool:
    """Return whether the CPU has a feature by LLVM's name; asked once a process.

    False where LLVM knows no list of features, so the portable path is taken.
    """
    try:
        return bool(llvm.get_host_cpu_features().get(feature, False))
    except RuntimeError:  # LLVM knows no feature list for this architecture
        return False


def _forced_portable() -> bool:
    """Return whether FORCE_VARIABLE asks for the portable path; read each time, as tests change it."""
    return os.environ.get(FORCE_VARIABLE, "") == "portable"


def has_sha_ni() -> bool:
    """Return whether SHA-256 may use the x86 SHA instructions."""
    return not _forced_portable() and _host_has("sha") and _host_has("sse4.1")


def has_ifma() -> bool:
    """Return whether field arithmetic may use AVX-512 IFMA (52-bit multiply-add, 8 lanes)."""
    return not _forced_portable() and _host_has("avx512f") and _host_has("avx512ifma")


def has_avx512() -> bool:
    """Return whether 16 words may lie in one register, with rotations and byte shuffles."""
    return not _forced_portable() and _host_has("avx512f") and _host_has("avx512bw")


def has_crc32c() -> bool:
    """Return whether CRC-32C is an instruction."""
    return not _forced_portable() and _host_has("sse4.2")


def has_ternary_logic() -> bool:
    """Return whether code for 16 lanes may use AVX-512's logic of three operands, whatever path is forced."""
    return _host_has("avx512f")


def path_name() -> str:
    """Return the paths in use, for reports: `sha-ni+ifma`, `sha-ni`, `ifma` or `portable`."""
    names = [name for name, has in (("sha-ni", has_sha_ni()), ("ifma", has_ifma())) if has]
    return "+".join(names) or "portable"
