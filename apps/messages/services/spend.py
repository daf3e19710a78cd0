"""What landed messages cost, added up by day as they land and taken off again when they leave the chain."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import connection

from apps.messages.models import Message, SignedVersion
from apps.messages.states import MessageState
from poolsite.filecoin.gas import gas_outputs
from poolsite.filecoin.message import Message as ChainMessage
from poolsite.filecoin.message import Receipt

ADDED: Final = 1
SUBTRACTED: Final = -1

SPEND_SQL: Final = """
INSERT INTO messages_gasspend (day, tenant_id, from_addr, "to", method, kind, messages, gas_used, cost)
SELECT (landed_at AT TIME ZONE 'UTC')::date AS day, tenant_id, from_addr,
       CASE WHEN method = 0 THEN '' ELSE "to" END AS receiver, method, kind,
       %(sign)s * count(*), %(sign)s * sum(gas_used), %(sign)s * sum(gas_cost)
  FROM messages_message WHERE id = ANY(%(ids)s) AND state = %(state)s
 GROUP BY day, tenant_id, from_addr, receiver, method, kind
 ORDER BY day, tenant_id, from_addr, receiver, method, kind
ON CONFLICT (day, tenant_id, from_addr, "to", method, kind) DO UPDATE
   SET messages = messages_gasspend.messages + excluded.messages,
       gas_used = messages_gasspend.gas_used + excluded.gas_used,
       cost = messages_gasspend.cost + excluded.cost
"""
"""One order for all writers: two of them never wait for each other's rows in a circle."""


EXIT_CODE_MAX: Final = (1 << 31) - 1
"""Largest that our column holds; the chain's has 32 bits, and an actor chooses its own."""


def exit_code_cap(receipt: Receipt) -> int:
    """Return a receipt's exit code as it is kept: one that is too large must not stop the tracker."""
    return min(receipt.exit_code, EXIT_CODE_MAX)


def gas_cost_compute(
    signed: Message | SignedVersion | ChainMessage, *, receipt: Receipt, base_fee: int
) -> int:
    """Return the attoFIL that a version's gas cost its sender; `base_fee` is that of the including tipset."""
    found = gas_outputs(
        gas_used=receipt.gas_used,
        gas_limit=signed.gas_limit,
        base_fee=base_fee,
        fee_cap=signed.gas_fee_cap,
        premium=signed.gas_premium,
    )
    return found.base_fee_burn + found.over_estimation_burn + found.miner_tip


def spend_record(ids: Collection[str], *, sign: int) -> None:
    """Add what these messages cost to their days, or take it off before they leave LANDED.

    Must run in the transaction that moves them.
    """
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(SPEND_SQL, {"sign": sign, "ids": list(ids), "state": MessageState.LANDED})
