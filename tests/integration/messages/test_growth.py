"""No step of a message's life reads more of the database because more messages have landed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.api.rpc.services.messager.reads import list_blocked_message, list_failed_message, reads_answer
from apps.chain.selectors.heads import head_current
from apps.messages.models import Message, Sender
from apps.messages.selectors.executions import Executed, Execution
from apps.messages.selectors.messages import messages_visible
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services.fee_bump import proofs_bump
from apps.messages.services.landings import executions_land
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.services.track import landings_revert
from apps.users.rules.principals import Principal
from poolsite.filecoin.address import UNDEF, address_parse
from poolsite.filecoin.amounts import AttoFil
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import Receipt
from tests import factories
from tests.bulk_rows import message_copies_insert
from tests.messaging import Pool, pool_world
from tests.people import principal
from tests.query_plans import plan_of, reads_of

FEW, MANY = 1_000, 20_000
"""Landed messages, those of our own senders among them."""

MORE: Final = 150
"""Of more values than this many PostgreSQL does not find out by itself that none is empty: 100."""

BLOCKS_MAX: Final = 40
"""Blocks of 8 KiB that one query may touch; the table has more than a thousand in the end."""


@pytest.fixture
def pool(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


class Caller:
    """What the messager's methods need of a call."""

    def __init__(self, who: Principal) -> None:
        self.principal = who


def life(pool: Pool, address: str, name: str) -> None:
    """Push, choose, publish, replace, land, read, list, and a head with nothing to do."""
    call: Any = Caller(principal())
    for number in range(3):
        pool.push(f"{name}-{number}", address, kind="window_post")
    pool.push(f"{name}-0", address, kind="window_post")
    pool.choose()
    row = pool.row(f"{name}-1")
    message_replace(message=row, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now)
    messages_publish([row.pk], now=pool.now)
    proofs_bump(client=pool.client, head=pool.head, now=pool.now)
    list_failed_message(call)
    list_blocked_message(call, UNDEF, 0)
    for _ in range(3):
        pool.step()
    [found] = reads_answer([(call.principal, f"{name}-2")])
    assert isinstance(found, dict)
    assert found["State"] == 3


def blocks_read(pool: Pool, address: str, name: str) -> dict[str, int]:
    """Live one life; give the blocks that each of its queries touches.

    What writes is planned only: its plan must not scan the table.
    """
    life(pool, address, f"{name}-warm")
    with CaptureQueriesContext(connection) as asked:
        life(pool, address, name)
    blocks: dict[str, int] = {}
    with connection.cursor() as cursor:
        for sql in dict.fromkeys(row["sql"] for row in asked.captured_queries):
            word = sql.lstrip().partition(" ")[0].upper()
            if word == "SELECT" and "pg_" not in sql and " FOR UPDATE" not in sql:
                cursor.execute(f"explain (analyze, buffers, format json) {sql}")
                plan = plan_of(cursor)
                blocks[sql] = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            elif word in ("UPDATE", "DELETE") or " FOR UPDATE" in sql:
                cursor.execute(f"explain (format json) {sql}")
                plan = plan_of(cursor)
            else:
                continue
            assert not scans(plan), f"reads the whole table: {sql[:300]}"
    return blocks


def scans(plan: dict[str, Any]) -> bool:
    """Return whether a plan reads all messages one by one."""
    here = plan["Node Type"] == "Seq Scan" and plan["Relation Name"] == Message._meta.db_table
    return here or any(scans(inner) for inner in plan.get("Plans", ()))


def vacuum(table: str) -> None:
    """Remove the rows that tests before this one have rolled back: queries would read them too."""
    here = connection.get_connection_params()
    with closing(psycopg2.connect(host=here["host"], user=here["user"], dbname=here["dbname"])) as link:
        link.autocommit = True
        link.cursor().execute(f"vacuum {table}")


def test_no_step_of_a_messages_life_reads_what_has_landed(pool: Pool) -> None:
    vacuum("messages_message")
    address = pool.address(fil=10_000)
    pool.push("first", address)
    for _ in range(3):
        pool.step()
    seen = []
    for first, last in ((1, FEW), (FEW + 1, MANY)):
        with connection.cursor() as cursor:
            message_copies_insert(cursor, of="push_id = 'first'", first=first, last=last)
            # A third of them are of the very sender that goes on sending.
            cursor.execute(
                "update messages_message set from_addr = %s where id like 'seed-%%' and nonce %% 3 = 0"
                " and state = 'LANDED' and from_addr <> %s",
                [address, address],
            )
            cursor.execute("analyze messages_message")
        seen.append(blocks_read(pool, address, f"at-{last}"))

    for blocks in seen:
        dearest = max(blocks, key=lambda sql: blocks[sql])
        assert blocks[dearest] <= BLOCKS_MAX, dearest
    few, many = (sum(blocks.values()) for blocks in seen)
    # Of twenty times as many rows.  What is read more are dead ones, which nothing vacuums inside one
    # transaction.
    assert many <= 3 * few


def test_a_tipset_with_many_of_our_messages_is_read_by_their_cids(pool: Pool) -> None:
    address = pool.address()
    pool.push("one", address)
    pool.step()
    head, sender = head_current(), address_parse(address)
    assert head is not None
    fee = AttoFil(1)
    message = ChainMessage(
        to=sender, from_=sender, nonce=0, value=fee, gas_limit=1, gas_fee_cap=fee, gas_premium=fee
    )
    executions = [
        Execution(factories.cid(f"{at}"), address, address, 500 + at, Receipt(0, b"", 1), message)
        for at in range(MORE)
    ]
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
        with CaptureQueriesContext(connection) as asked:
            executions_land(Executed(head, head.height, 100, tuple(executions)), own=executions, now=pool.now)
            landings_revert([factories.cid(f"head {at}") for at in range(MORE)], now=pool.now)
        for sql in (row["sql"] for row in asked.captured_queries):
            if "messages_message" in sql and sql.startswith("SELECT"):
                cursor.execute(f"explain (format json) {sql}")
                assert not scans(plan_of(cursor)), f"reads the whole table: {sql[:300]}"
    assert Sender.objects.get(address=address).next_nonce == 500 + MORE


def test_a_token_for_a_miner_reads_no_messages_to_others(pool: Pool) -> None:
    pool.push("first", pool.address())
    with connection.cursor() as cursor:
        message_copies_insert(cursor, of="push_id = 'first'", first=1, last=MANY)
        cursor.execute("analyze messages_message")

    with CaptureQueriesContext(connection) as asked:
        found = list(messages_visible(principal(miners=frozenset({4_242})))[:50])

    assert found == []
    assert sum(read.rows for read in reads_of(asked.captured_queries, about="messages_message").values()) == 0
