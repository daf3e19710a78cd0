"""Questions for many rows at the same time: whoever is answered is given first."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from apps.chain.errors import NodeUnavailable
from apps.chain.node.isolation import AWAY_MAX
from apps.chain.node.parallel import REQUESTS_URGENT, groups_as_answered


def names(group: Sequence[tuple[int, Exception | None]]) -> list[int]:
    """The rows of a group."""
    return [row for row, _ in group]


def test_a_row_that_hangs_comes_last() -> None:
    go_on = threading.Event()

    def ask(row: int) -> None:
        if row == 0:
            assert go_on.wait(30)

    found: list[int] = []
    for group in groups_as_answered(ask, range(100), most=25):
        assert len(group) <= 25
        found += names(group)
        if len(found) == 99:
            go_on.set()

    assert sorted(found[:-1]) == list(range(1, 100))
    assert found[-1] == 0


def test_what_was_raised_for_a_row_stands_beside_it() -> None:
    wrong = ValueError("unreadable")

    def ask(row: int) -> None:
        if row == 1:
            raise wrong

    [group] = groups_as_answered(ask, range(3), most=25)

    assert group == [(0, None), (1, wrong), (2, None)]
    assert list(groups_as_answered(ask, [], most=25)) == []


def test_without_a_node_the_rest_is_not_asked() -> None:
    asked: list[int] = []

    def ask(row: int) -> None:
        asked.append(row)
        raise NodeUnavailable("away")

    groups = list(groups_as_answered(ask, range(1_000), most=25))

    errors = [error for group in groups for _, error in group]
    assert len(errors) == 1_000
    assert all(isinstance(error, NodeUnavailable) for error in errors)
    assert AWAY_MAX <= len(asked) <= AWAY_MAX + REQUESTS_URGENT
