"""Move messages that landed long ago into an archive, in which every reader still finds them.

The archive is a child of the table of messages (PostgreSQL's inheritance): a statement on messages reads,
counts and locks those in it too; only inserts have to know of it.  What a child does not inherit is created
here: the same indexes, and triggers that refuse a new message with the id, the push id or the nonce of an
archived one.  A foreign key checks the parent table alone, so those that refer to messages are dropped;
nothing deletes a message.  The table is created when something is archived first
(docs/decisions/0047-an-archive-below-the-table-of-messages.md).
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from django.db import OperationalError, connection, transaction

log = structlog.get_logger(__name__)

TABLE: Final = "messages_archive"
STEP_ROWS: Final = 500
"""Messages moved in one statement: a few milliseconds, in which nobody else can lock them."""
TURN_S: Final = 20.0
"""Longest time for which one run of the task moves messages."""
BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
"""Earlier than the first message of any pool."""

TABLE_TEXT: Final = """
SET LOCAL lock_timeout = '200ms';
CREATE TABLE messages_archive (
    CONSTRAINT messages_archive_landed CHECK (state = 'LANDED')
) INHERITS (messages_message)
"""
LOCKED: Final = """
SET LOCAL lock_timeout = '200ms';
LOCK TABLE users_tenant IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE messages_message IN ACCESS EXCLUSIVE MODE
"""
"""Locks tables in the order in which writers lock them."""
RULES: Final = """
ALTER TABLE messages_archive ADD CONSTRAINT messages_archive_tenant
    FOREIGN KEY (tenant_id) REFERENCES users_tenant (id) DEFERRABLE INITIALLY DEFERRED;
CREATE FUNCTION messages_archived_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM messages_archive a WHERE a.id = NEW.id) THEN
        RAISE unique_violation USING MESSAGE = 'an archived message has the id ' || NEW.id,
            CONSTRAINT = 'messages_message_pkey', TABLE = 'messages_message';
    END IF;
    IF TG_OP = 'INSERT' AND EXISTS (
        SELECT FROM messages_archive a
        WHERE a.push_id = NEW.push_id AND a.tenant_id IS NOT DISTINCT FROM NEW.tenant_id
    ) THEN
        RAISE unique_violation USING MESSAGE = 'an archived message has the push id ' || NEW.push_id,
            CONSTRAINT = 'message_push_id_once', TABLE = 'messages_message';
    END IF;
    IF NEW.nonce IS NOT NULL AND NEW.state IN ('FILLED', 'LANDED') AND EXISTS (
        SELECT FROM messages_archive a WHERE a.from_addr = NEW.from_addr AND a.nonce = NEW.nonce
    ) THEN
        RAISE unique_violation USING MESSAGE = 'an archived message has the nonce ' || NEW.nonce,
            CONSTRAINT = 'message_nonce_once', TABLE = 'messages_message';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER messages_archived_ids AFTER INSERT ON messages_message
    FOR EACH ROW EXECUTE FUNCTION messages_archived_once();
CREATE TRIGGER messages_archived_nonces AFTER UPDATE OF nonce, state, from_addr ON messages_message
    FOR EACH ROW WHEN (
        NEW.nonce IS NOT NULL AND NEW.state IN ('FILLED', 'LANDED')
        AND (OLD.nonce IS DISTINCT FROM NEW.nonce OR OLD.state NOT IN ('FILLED', 'LANDED'))
    ) EXECUTE FUNCTION messages_archived_once()
"""
"""Triggers run after the row is in its unique indexes, so they see a message that is being archived."""

REFERRING: Final = """
select conrelid::regclass::text, conname from pg_constraint
where confrelid = 'messages_message'::regclass and contype = 'f' and conparentid = 0 order by 1, 2
"""
INDEXES: Final = """
select index.relname, pg_get_indexdef(indexrelid), indisvalid
from pg_index join pg_class index on index.oid = indexrelid where indrelid = to_regclass(%s)
"""
COLUMNS: Final = """
select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
where attrelid = 'messages_message'::regclass and attnum > 0 and not attisdropped
"""
"""Columns are read from the database: a newer version may have added one."""

MOVE: Final = """
WITH old AS (
    SELECT id FROM ONLY messages_message
    WHERE state = 'LANDED' AND created_at >= %(since)s AND created_at < %(until)s AND landed_at < %(until)s
    ORDER BY created_at LIMIT %(rows)s FOR UPDATE SKIP LOCKED
), moved AS (
    DELETE FROM ONLY messages_message message USING old WHERE message.id = old.id RETURNING message.*
), archived AS (
    INSERT INTO messages_archive ({columns}) SELECT {columns} FROM moved RETURNING created_at
)
SELECT count(*), max(created_at) FROM archived
"""
"""One statement, so that concurrent readers find a message once, in one table or the other."""


def messages_archive(*, until: datetime) -> int:
    """Archive the messages that were pushed and landed before `until`, in steps; return how many.

    What failed or was replaced stays, as it may be tried again.  Where a lock is not free within moments, or
    the time of a turn is over, the next turn goes on.
    """
    moved = 0
    try:
        _table_complete()
        with connection.cursor() as cursor:
            cursor.execute(COLUMNS)
            (columns,) = cursor.fetchone()
            since, began = BEGINNING, time.monotonic()
            while time.monotonic() - began < TURN_S:
                place: dict[str, Any] = {"since": since, "until": until, "rows": STEP_ROWS}
                cursor.execute(MOVE.format(columns=columns), place)
                count, newest = cursor.fetchone()
                if not count:
                    break
                moved, since = moved + count, newest
    except OperationalError as error:
        log.info("messages_not_archived", reason=str(error).strip()[:200])
    if moved:
        log.info("messages_archived", count=moved)
    return moved


def _table_complete() -> None:
    """Create the archive if it is missing, else the indexes that newer versions added to messages."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass(%s) is not null", [TABLE])
        (is_made,) = cursor.fetchone()
        cursor.execute(REFERRING)
        keys = [f'ALTER TABLE {table} DROP CONSTRAINT "{name}"' for table, name in cursor.fetchall()]
        if not is_made:
            with transaction.atomic():
                cursor.execute(TABLE_TEXT)
                cursor.execute("; ".join(_indexes_missing(cursor, beside="")))
                cursor.execute("; ".join([LOCKED, RULES, *keys]))  # at once: writers wait meanwhile
        elif keys:
            with transaction.atomic():
                cursor.execute("; ".join([LOCKED, *keys]))
        for text in _indexes_missing(cursor, beside="CONCURRENTLY "):
            cursor.execute(text)


def _indexes_missing(cursor: Any, *, beside: str) -> list[str]:
    """Return the statements that create the archive's missing and invalid indexes."""
    cursor.execute(INDEXES, [TABLE])
    is_valid = {name: is_valid for name, _, is_valid in cursor.fetchall()}
    found = [f'DROP INDEX {beside}"{name}"' for name in is_valid if not is_valid[name]]
    cursor.execute(INDEXES, ["messages_message"])
    for name, text, is_made in cursor.fetchall():
        own = f"{name[:55]}_archive"
        if is_made and not is_valid.get(own):
            made = re.sub(r"INDEX \S+ ON \S+", f'INDEX {beside}"{own}" ON {TABLE}', text, count=1)
            found.append(made)
    return found
