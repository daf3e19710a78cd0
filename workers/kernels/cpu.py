"""Which instructions this machine has, and so which path a kernel takes.

`POOLSITE_KERNELS=portable` in the environment forces the portable path, `avx2` that of a CPU without AVX-512
(tests, comparisons).
"""

from __future__ import annotations

import functools
import os
from typing import Final

import llvmlite.binding as llvm  # type: ignore[import-untyped]  # llvmlite has no types

FORCE_VARIABLE = "POOLSITE_KERNELS"
"""Environment variable; `portable` turns off every special instruction, `avx2` those of AVX-512."""


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


def _without_avx512() -> bool:
    """Return whether FORCE_VARIABLE turns off AVX-512, by either value."""
    return os.environ.get(FORCE_VARIABLE, "") in ("portable", "avx2")


def has_sha_ni() -> bool:
    """Return whether SHA-256 may use the x86 SHA instructions."""
    return not _forced_portable() and _host_has("sha") and _host_has("sse4.1")


def has_ifma() -> bool:
    """Return whether field arithmetic may use AVX-512 IFMA (52-bit multiply-add, 8 lanes)."""
    return not _without_avx512() and _host_has("avx512f") and _host_has("avx512ifma")


def has_fma() -> bool:
    """Return whether field arithmetic may use AVX2 and fused multiply-adds (4 lanes of floating point)."""
    return not _forced_portable() and _host_has("avx2") and _host_has("fma")


def has_adx() -> bool:
    """Return whether products of words may be added by two chains of carries."""
    return not _forced_portable() and _host_has("adx") and _host_has("bmi2")


def has_avx512() -> bool:
    """Return whether 16 words may lie in one register, with rotations and byte shuffles."""
    return not _without_avx512() and _host_has("avx512f") and _host_has("avx512bw")


def has_crc32c() -> bool:
    """Return whether CRC-32C is an instruction."""
    return not _forced_portable() and _host_has("sse4.2")


def has_ternary_logic() -> bool:
    """Return whether code for 16 lanes may use AVX-512's logic of three operands, whatever path is forced."""
    return _host_has("avx512f")


def path_name() -> str:
    """Return the paths in use, for reports: `sha-ni+ifma`, `sha-ni+fma`, one of these, or `portable`."""
    field = "ifma" if has_ifma() else "fma" if has_fma() else ""
    return "+".join(name for name in ("sha-ni" if has_sha_ni() else "", field) if name) or "portable"


WORDS_BY_ADX: Final = has_adx()
"""Whether kernels in words multiply by ADX: as when the process began, since a kernel is compiled once."""
LANES_BY_FMA: Final = has_fma() and not has_ifma()
"""Whether lanes multiply by FMA: as when the process began, too."""


def has_lanes() -> bool:
    """Return whether field arithmetic may use eight lanes, by either instruction."""
    return has_ifma() or (LANES_BY_FMA and has_fma())
