"""Messages that landed long ago lie in a table of their own, and are found, unique and counted as before."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psycopg2
import pytest
from django.db import IntegrityError, connection
from django.test import Client

from apps.core.clock import now
from apps.core.leader import database_params
from apps.messages.errors import MessageIdTaken
from apps.messages.models import Message, MessageEvent
from apps.messages.selectors.messages import message_versions
from apps.messages.selectors.miner_money import money_moved
from apps.messages.selectors.replacement_fees import NewFees
from apps.messages.services import archive
from apps.messages.services.archive import messages_archive
from apps.messages.services.publish import messages_publish
from apps.messages.services.replace import message_replace
from apps.messages.states import MessageState
from apps.messages.tasks import archive as archive_task
from poolsite.embedded.database import login_of, program_run
from poolsite.embedded.restore import dump_read
from tests import factories
from tests.archived import archive_undone, ask, places
from tests.messaging import RECEIVER, Pool
from tests.page_client import signed_in, text_of
from tests.people import bearer, operator_person, token
from tests.unit.apps.api.rpc.outside import ask as rpc
from tests.unit.apps.api.rpc.outside import in_thread, outside_pool, spec, unsigned

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO: Final = timedelta(days=400)
INDEXES: Final = "select indexname from pg_indexes where tablename = 'messages_archive'"


@pytest.fixture(autouse=True)
def _archive(transactional_db: None) -> Iterator[None]:
    with archive_undone():
        yield


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with outside_pool(monkeypatch) as pool:
        yield pool


def old(name: str, *, state: str = MessageState.LANDED, **row: Any) -> Message:
    """A message of long ago."""
    long_ago = now() - LONG_AGO
    made = factories.message(name, state=state, **row)
    Message.objects.filter(pk=made.pk).update(
        created_at=long_ago, landed_at=long_ago if state == MessageState.LANDED else None
    )
    return Message.objects.get(pk=made.pk)


def archived() -> int:
    """Archive what is a year old."""
    return messages_archive(until=now() - timedelta(days=365))


async def test_every_reader_finds_an_archived_message_by_each_of_its_names(pool: Pool) -> None:
    address, wishes = await in_thread(pool.address)(), spec()
    first = (await rpc("MpoolPushMessage", unsigned(address), wishes))["CID"]
    row = await in_thread(Message.objects.get)()
    row = await in_thread(message_replace)(
        message=row, fees=NewFees(), client=pool.client, head=pool.head, now=pool.now
    )
    await in_thread(messages_publish)([row.pk], now=pool.now)
    for _ in range(4):
        await in_thread(pool.step)()
    row = await in_thread(Message.objects.get)()
    reader, person = await in_thread(token)("sign"), await in_thread(operator_person)()

    def seen() -> list[Any]:
        alice, page = Client(headers=bearer(reader)), signed_in(person.username)
        heights = {"begin": 0, "end": 10**9}

        def messager(method: str, *params: Any) -> Any:
            body = {"jsonrpc": "2.0", "id": 1, "method": f"Message.{method}", "params": list(params)}
            return alice.post("/rpc/v0", body, content_type="application/json").json()["result"]

        return [
            alice.get(f"/api/v1/messages/{row.push_id}").json(),
            alice.get("/api/v1/messages").json(),
            b"".join(page.get("/messages.csv").streaming_content),  # type: ignore[attr-defined]  # it streams
            *(row.pk in text_of(page.get("/search/", {"q": word})) for word in (row.cid, row.push_id)),
            money_moved([RECEIVER], **heights),
            [str(one.cid) for one in message_versions(row)],
            list(MessageEvent.objects.filter(message=row).values_list("event", "text")),
            messager("GetMessageByUid", row.push_id),
            messager("GetMessageBySignedCid", {"/": row.cid}),
            messager("GetMessageByUnsignedCid", {"/": row.unsigned_cid}),
            messager("GetMessageByFromAndNonce", address, 0),
            messager("HasMessageByUid", row.push_id),
        ]

    async def told() -> list[Any]:
        searches = [("StateSearchMsg", None, cid, -1, True) for cid in (first, {"/": row.cid})]
        waits = [("StateWaitMsg", cid, 0, -1, True) for cid in (first, {"/": row.cid})]
        found = [await rpc(*one) for one in (*searches, *waits)]
        again = await rpc("MpoolPushMessage", unsigned(address), wishes)
        return [found, again, await in_thread(seen)()]

    before = await told()
    assert await in_thread(messages_archive)(until=now() + timedelta(days=1)) == 1
    assert await in_thread(places)() == {"messages_archive": 1}

    assert await told() == before
    assert first != {"/": row.cid}
    await in_thread(pool.step)()
    assert await in_thread(pool.nonces_on_chain)(address) == [0]


def test_a_push_under_an_archived_id_pays_nothing(pool: Pool) -> None:
    address = pool.address()
    pool.push("pay-7", address, value=5)
    for _ in range(3):
        pool.step()
    assert messages_archive(until=now() + timedelta(days=1)) == 1

    again = pool.push("pay-7", address, value=5)
    assert (again.state, again.nonce) == (MessageState.LANDED, 0)
    with pytest.raises(MessageIdTaken):
        pool.push("pay-7", address, value=6)
    pool.push("pay-8", address)
    for _ in range(3):
        pool.step()

    assert pool.nonces_on_chain(address) == [0, 1]
    assert places() == {"messages_archive": 1, "messages_message": 1}


def test_what_may_still_change_and_what_is_young_stays() -> None:
    gone = old("gone")
    for state in (MessageState.UNFILLED, MessageState.FILLED, MessageState.FAILED, MessageState.REPLACED):
        old(state, state=state)
    factories.message("young", state=MessageState.LANDED)
    late = old("late")
    Message.objects.filter(pk=late.pk).update(landed_at=now())

    assert archived() == 1
    assert places() == {"messages_archive": 1, "messages_message": 6}
    assert Message.objects.count() == 7
    assert Message.objects.get(pk=gone.pk).state == MessageState.LANDED


@pytest.mark.parametrize("taken", ["id", "push_id", "nonce"])
def test_nothing_new_gets_what_an_archived_message_has(taken: str) -> None:
    gone, fresh = old("gone"), factories.message("fresh")
    archived()

    def take() -> None:
        if taken == "nonce":
            place = {"state": MessageState.FILLED, "nonce": gone.nonce, "from_addr": gone.from_addr}
            Message.objects.filter(pk=fresh.pk).update(**place)
        else:
            factories.message(**{"id": "other", "push_id": "other", taken: "gone"})

    with pytest.raises(IntegrityError, match="an archived message has"):
        take()

    assert places() == {"messages_archive": 1, "messages_message": 1}
    Message.objects.filter(pk=fresh.pk).update(state=MessageState.FILLED, nonce=(gone.nonce or 0) + 1000)
    factories.message("other", of="bob", push_id="gone")  # another tenant's id


def test_an_id_that_is_being_archived_is_given_to_nobody() -> None:
    old("gone")
    archived()
    old("going")
    fault: list[BaseException] = []

    def push() -> None:
        try:
            ask(
                "insert into messages_message select (m).* from (select m from messages_message m"
                " where id = 'going') as found(m)"
            )
        except IntegrityError as refused:
            fault.append(refused)
        finally:
            connection.close()

    with closing(psycopg2.connect(**database_params())) as other, other.cursor() as cursor:
        cursor.execute(archive.COLUMNS)
        columns = str((cursor.fetchone() or [""])[0])
        place = {"since": archive.BEGINNING, "until": now() - timedelta(days=365), "rows": 5}
        cursor.execute(archive.MOVE.format(columns=columns), place)
        pushing = threading.Thread(target=push)
        pushing.start()
        until = time.monotonic() + 30
        while not ask("select from pg_locks where not granted") and time.monotonic() < until:
            time.sleep(0.01)
        other.commit()
        pushing.join(30)

    assert "an archived message has the id" in str(fault[0])
    assert places() == {"messages_archive": 2}


class Killed(Exception):
    """As a kill would end the process."""


def test_a_kill_between_two_steps_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "STEP_ROWS", 2)
    names = {old(f"gone-{count}").pk for count in range(7)}
    at = 0
    while True:
        at, count = at + 1, [0]

        def kill(run: Any, sql: str, *rest: Any, at: int = at, count: list[int] = count) -> Any:
            count[0] += 1
            if count[0] == at:
                raise Killed
            return run(sql, *rest)

        try:
            with connection.execute_wrapper(kill):
                archived()
            break
        except Killed:
            connection.close()
            keys = list(Message.objects.values_list("pk", flat=True))
            assert (len(keys), set(keys)) == (7, names)
    assert at > 8
    assert places() == {"messages_archive": 7}


def test_what_a_newer_version_adds_is_added_to_the_archive_too() -> None:
    old("gone")
    archived()
    ask("create index made_up on messages_message (kind, nonce) where nonce > 7")
    ask("create table made_up_row (message_id text references messages_message)")
    ask("alter table messages_message add column made_up integer not null default 3")
    try:
        old("later")
        assert archived() == 1
        indexes = {
            one for (one,) in ask("select indexname from pg_indexes where tablename = 'messages_archive'")
        }
        assert "made_up_archive" in indexes
        assert ask("select made_up from messages_archive") == [(3,), (3,)]
        ask("insert into made_up_row values ('later')")
        assert archived() == 0
    finally:
        ask("drop table made_up_row")
        ask("drop index made_up")
        ask("alter table messages_message drop column made_up")


def test_a_lock_that_is_held_is_not_waited_for_long() -> None:
    old("gone")
    with closing(psycopg2.connect(**database_params())) as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from messages_message")
        began = time.monotonic()
        assert archived() == 0
        assert time.monotonic() - began < 5
        assert places() == {"messages_message": 1}

    assert archived() == 1


def test_a_restored_backup_has_its_archive(tmp_path: Path) -> None:
    old("gone")
    factories.message("young", state=MessageState.LANDED)
    archived()
    row = dict(connection.settings_dict) | {"PORT": os.environ.get("PGPORT", "5432")}
    dump, login, copy = tmp_path / "dump", login_of(row), f"{row['NAME']}_copy"
    program_run("pg_dump", "--format=custom", f"--file={dump}", row["NAME"], login=login)
    ask(f'create database "{copy}"')
    try:
        dump_read(copy, dump, login=login)
        with closing(psycopg2.connect(**database_params() | {"dbname": copy})) as link:
            cursor = link.cursor()
            cursor.execute("select tableoid::regclass::text, id from messages_message order by id")
            assert cursor.fetchall() == [("messages_archive", "gone"), ("messages_message", "young")]
            with pytest.raises(psycopg2.IntegrityError, match="an archived message has the push id"):
                cursor.execute(AGAIN)
    finally:
        ask(f'drop database "{copy}"')


def test_a_pool_without_the_setting_has_no_archive(settings: Any) -> None:
    old("gone")
    archive_task()
    assert ask("select to_regclass('messages_archive')") == [(None,)]

    settings.MESSAGES_ARCHIVED_MONTHS = 12
    archive_task()
    assert places() == {"messages_archive": 1}


def test_the_open_messages_of_a_head_are_not_looked_for_in_the_archive() -> None:
    old("gone")
    archived()
    plan = "\n".join(line for (line,) in ask("explain " + OPEN))

    assert "messages_archive" not in plan, plan


AGAIN: Final = """
create temporary table again as select * from only messages_message;
update again set id = 'other', push_id = 'gone', state = 'UNFILLED';
insert into messages_message select * from again
"""
"""A message under the archived one's push id."""

OPEN: Final = "select id from messages_message where state in ('UNFILLED', 'FILLED') and from_addr = 'f01'"
