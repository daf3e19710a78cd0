"""Tests of kernels run on every path: the one of this machine, the one without AVX-512, the portable one."""

from __future__ import annotations

import pytest

from workers.kernels.cpu import FORCE_VARIABLE, has_fma, has_ifma

PATHS = ("fast", *(["avx2"] if has_ifma() and has_fma() else []), "portable")
"""Without AVX-512, `fast` is `avx2`."""


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path under test; `fast` is what the machine has, which may be the portable one."""
    monkeypatch.setenv(FORCE_VARIABLE, "" if request.param == "fast" else request.param)
    return str(request.param)
