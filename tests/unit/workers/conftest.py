"""Tests of kernels run on both paths: the one of this machine and the portable one."""

from __future__ import annotations

import pytest

from workers.kernels.cpu import FORCE_VARIABLE


@pytest.fixture(params=["fast", "portable"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path under test; `fast` is what the machine has, which may be the portable one."""
    monkeypatch.setenv(FORCE_VARIABLE, "portable" if request.param == "portable" else "")
    return str(request.param)
