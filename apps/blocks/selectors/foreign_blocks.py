"""Reading which blocks of our miners another program has made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.db import connection

from apps.blocks.models import Block
from apps.chain.models import Head
from apps.messages.models import Recovery
from apps.miners.models import Miner
from apps.users.models import MinerGrant

FOREIGN_EPOCHS: Final = 900
"""How far back such blocks are spoken of: a finality of mainnet."""

_FROM: Final = f"""
    FROM {Head._meta.db_table} head
    CROSS JOIN LATERAL unnest(head.cids, head.miners) AS made(cid, miner)
    JOIN {Miner._meta.db_table} miner ON '0' || miner.actor_id = substr(made.miner, 2)
    WHERE head.height > (SELECT max(height) FROM {Head._meta.db_table}) - {FOREIGN_EPOCHS}
        AND head.height >= coalesce(miner.works_from, 0)
        AND head.height < coalesce(miner.works_until, head.height + 1)
        AND to_timestamp(head.timestamp) > coalesce(
            (SELECT restored_at FROM {Recovery._meta.db_table} ORDER BY id LIMIT 1), '-infinity')
        AND NOT EXISTS (SELECT 1 FROM {Block._meta.db_table} own WHERE own.actor_id = miner.actor_id
            AND own.height = head.height AND own.cid IN ('', made.cid))
"""  # noqa: S608  # constants
"""Blocks, also of branches, of epochs at which the pool has the miner; none that a backup may lack."""

_MINED: Final = f"""
    AND EXISTS (SELECT 1 FROM {MinerGrant._meta.db_table} wanted WHERE wanted.actor_id = miner.actor_id
        AND wanted.tenant_id = miner.tenant_id AND wanted.open_mining AND wanted.deleted_at IS NULL
        AND to_timestamp(head.timestamp) > wanted.updated_at)
"""  # noqa: S608  # constants
"""Since the pool makes the miner's blocks: before, another program may have done so."""

FOREIGN_BLOCK: Final = f"EXISTS (SELECT 1 {_FROM} {_MINED})"
"""Whether any miner that the pool makes blocks for has a block of another program."""


def foreign_blocks(miners: Iterable[Miner]) -> dict[int, int]:
    """Return the newest epoch with another program's block, by the keys of miners that the pool mines for."""
    return _newest([miner.pk for miner in miners], _MINED)


def foreign_blocks_since_move(miners: Iterable[Miner]) -> dict[int, int]:
    """Return the newest epoch with another program's block since they moved in, by the keys of miners."""
    keys = [miner.pk for miner in miners if miner.works_from is not None]
    return _newest(keys, "") if keys else {}


def _newest(keys: list[int], condition: str) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT miner.id, max(head.height) {_FROM} {condition} AND miner.id = ANY(%s) GROUP BY miner.id",
            [keys],
        )
        return dict(cursor.fetchall())
