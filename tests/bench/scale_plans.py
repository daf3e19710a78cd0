"""What the statements of a head read of a large pool: as much as is due, never all there is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Final
from unittest.mock import patch

from tests.bench.scale_heads import followed, heights, node
from tests.bench.scale_pool import MINERS, SECTORS, Figure, pool
from tests.query_plans import Watched, plans_watched

HEADS: Final = 12
"""So many are followed: PostgreSQL plans a prepared statement for any value from the sixth time on, and every
ten epochs all facts are read."""
IN_WORK: Final = 1_000
"""Sectors that are being sealed, each with a job that waits for a host."""
LARGE: Final = {
    "sectors_sector": max(SECTORS // MINERS, 2 * IN_WORK),
    "sectors_job": 2 * IN_WORK,
    "messages_message": 100,
}
"""Tables that no statement reads from end to end, and how many rows of them one looks at at most."""
TASKS: Final = ("messages", "miners", "proving", "sectors", "wallets")
"""Apps whose tasks ask the node."""


def begun() -> None:
    """Have some of the sectors still be sealed."""
    connection = importlib.import_module("django.db").connection
    every = SECTORS // IN_WORK
    importlib.import_module("apps.chain.models").Network.objects.update(name="mainnet")
    with connection.cursor() as cursor:
        cursor.execute(
            f"update sectors_sector set state = 'TREE_D_BUILT', active = false where number % {every} = 7"
        )
        cursor.execute(
            "update sectors_job set state = 'READY', stage = 'pc1' where sector_id in"
            " (select id from sectors_sector where state = 'TREE_D_BUILT')"
        )
        for table in ("sectors_sector", "sectors_job"):
            cursor.execute(f"vacuum analyze {table}")


def heads_follow(count: int) -> None:
    """Ask at so many heads what is due, and carry out all steps and facts that there are."""
    one = importlib.import_module
    tasks, steps = one("celery").current_app.tasks, one("poolsite.head_steps")
    due = one("apps.chain.heads.steps")
    for _ in range(count):
        heights[0] += 1
        head = pool().factories.head(heights[0])
        due.tasks_due(height=head.height, finality=900)
        due.facts_due(height=head.height)
        for step in (*steps.HEAD_STEPS, *steps.HEAD_FACTS):
            if step.task != "chain.facts":  # which carries out the facts
                tasks[step.task](height=head.height, key=head.key)


@cache
def watched() -> Watched:
    """Follow heads once, and return the plans of their statements.  None of them reads a table whole."""
    followed()
    begun()
    importlib.import_module("poolsite.celery").app.loader.import_default_modules()
    with ExitStack() as stack:
        log = stack.enter_context(patch("apps.chain.node.isolation.log"))
        for app in TASKS:
            stack.enter_context(patch(f"apps.{app}.tasks.chain_client", node))
        heads_follow(1)
        with plans_watched(*LARGE) as plans:
            heads_follow(HEADS)
    plans.check()
    assert not log.mock_calls, f"not all was done: {log.mock_calls[:3]}"
    return plans


def statements() -> Figure:
    """How many different statements a head has."""
    return Figure("statements of a head, whose plans use indexes", len(watched().statements), "")


def most_of(table: str, limit: int) -> Callable[[], Figure]:
    """Return how many rows of a table one statement of a head looks at."""

    def most() -> Figure:
        name = f"{table}: most rows of one statement of a head"
        return Figure(name, watched().most[table][0], "rows", limit=limit)

    return most


def cases() -> list[Callable[[], Figure]]:
    """Return what is measured."""
    return [statements, *(most_of(table, limit) for table, limit in LARGE.items())]
