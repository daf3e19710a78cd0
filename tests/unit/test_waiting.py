"""Waiting ends when the condition holds, and says where it never did."""

from __future__ import annotations

import pytest

from tests import waiting


async def test_it_ends_when_the_condition_holds() -> None:
    looks = iter([0, 0, 1, 0, 0, 1])

    waiting.until(lambda: next(looks))
    await waiting.until_async(lambda: next(looks))

    assert list(looks) == []


def test_what_never_holds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", -1)

    with pytest.raises(AssertionError, match=r"test_waiting\.py:\d+"):
        waiting.until(lambda: False)
