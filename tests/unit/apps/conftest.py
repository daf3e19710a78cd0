"""What the unit tests of several apps begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.two_at_once import besides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Run `first` up to a point, start `second`, let `first` end: both outcomes, and if the second waited."""
    with besides(monkeypatch) as run:
        yield run
