"""Figures of single miners, senders, wallets and hosts for Prometheus, summed by the database.

Each kind is one statement, however many objects there are.  It returns the `most` largest and, as `OTHER`,
the rest together: the sum of amounts, the greatest age, the least margin and free disk.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from apps.blocks.models import Round
from apps.blocks.states import LOSSES, RoundState
from apps.messages.models import GasSpend, Message, Sender
from apps.messages.states import MessageState
from apps.miners.models import Miner
from apps.proving.models import WindowPost
from apps.proving.states import PostState
from apps.sectors.models import Job, JobEvent, Worker
from apps.sectors.states import JobState
from apps.users.models import Tenant
from apps.wallets.models import Wallet
from poolsite.wire.jobs import JobKind

STEPS_READ: Final = 200
"""Newest failures and finished sectors of a host that are read to count its failures."""
STEPS_AGE: Final = timedelta(days=365)
"""Age of the oldest of them."""
OTHER: Final = "other"
"""Label of the rest.  No address has this name, and a host of this name has a tenant beside it."""


class MinerFigures(NamedTuple):
    """A miner's state on chain, its windows and its wins."""

    label: str
    keys: list[int]
    """Ids of the miners that it sums."""
    raw_power: int
    qa_power: int
    balance: Decimal
    available: Decimal
    locked: Decimal
    pledge: Decimal
    fee_debt: Decimal
    active: int
    faulty: int
    proven: int
    missed: int
    margin: int | None
    """Least number of epochs between landing and close; None where no proof landed."""
    won: int
    lost: int


class SenderFigures(NamedTuple):
    """Messages of a sender that have not landed, and the cost of its gas on this UTC day."""

    label: str
    waiting: int
    in_flight: int
    first_waiting: datetime | None
    first_in_flight: datetime | None
    gas: Decimal


class HostFigures(NamedTuple):
    """Last heartbeat, tasks and failures of a host, and its fullest disk."""

    tenant: str
    label: str
    seen_at: datetime
    tasks: int
    failed: int
    free: float | None
    share: float | None
    """Free bytes of the disk over all its bytes."""


MINERS: Final = f"""
    WITH ranked AS (
        SELECT *, row_number() OVER (ORDER BY qa_power DESC, id) AS place
        FROM {Miner._meta.db_table} WHERE actor_id IS NOT NULL
    ), proofs AS (
        SELECT miner_id, count(*) AS proven, 0 AS missed, min(close_epoch - landed_height) AS margin
        FROM {WindowPost._meta.db_table}
        WHERE state = '{PostState.LANDED}' AND close_epoch > %(since_epoch)s GROUP BY miner_id
        UNION ALL
        SELECT miner_id, 0, count(*), NULL
        FROM {WindowPost._meta.db_table}
        WHERE state = '{PostState.MISSED}' AND close_epoch > %(since_epoch)s GROUP BY miner_id
    ), windows AS (
        SELECT miner_id, sum(proven) AS proven, sum(missed) AS missed, min(margin) AS margin
        FROM proofs GROUP BY miner_id
    ), wins AS (
        SELECT miner_id, sum(win_count) FILTER (WHERE state = '{RoundState.INCLUDED}') AS won,
            sum(win_count) FILTER (WHERE state = ANY(%(losses)s)) AS lost
        FROM {Round._meta.db_table} WHERE win_count > 0 AND at >= %(since)s GROUP BY miner_id
    )
    SELECT CASE WHEN place <= %(most)s THEN 'f0' || actor_id ELSE '{OTHER}' END AS label,
        array_agg(ranked.id), sum(raw_power), sum(qa_power), sum(balance), sum(available), sum(locked),
        sum(pledge), sum(fee_debt), sum(active_sectors), sum(faulty_sectors),
        coalesce(sum(proven), 0), coalesce(sum(missed), 0), min(margin),
        coalesce(sum(won), 0), coalesce(sum(lost), 0)
    FROM ranked LEFT JOIN windows ON windows.miner_id = ranked.id LEFT JOIN wins ON wins.miner_id = ranked.id
    GROUP BY label ORDER BY min(place)
"""  # noqa: S608  # constants
SENDERS: Final = f"""
    WITH unlanded AS (
        SELECT from_addr, count(*) FILTER (WHERE state = '{MessageState.UNFILLED}') AS waiting,
            count(*) FILTER (WHERE state = '{MessageState.FILLED}') AS in_flight,
            min(created_at) FILTER (WHERE state = '{MessageState.UNFILLED}') AS first_waiting,
            min(created_at) FILTER (WHERE state = '{MessageState.FILLED}') AS first_in_flight
        FROM {Message._meta.db_table}
        WHERE state IN ('{MessageState.UNFILLED}', '{MessageState.FILLED}') GROUP BY from_addr
    ), gas AS (
        SELECT from_addr, sum(cost) FILTER (WHERE day = %(today)s) AS cost, sum(cost) AS lately
        FROM {GasSpend._meta.db_table} WHERE day >= %(since_day)s GROUP BY from_addr
    ), ranked AS (
        SELECT coalesce(own.address, unlanded.from_addr) AS address, waiting, in_flight, first_waiting,
            first_in_flight, cost, row_number() OVER (
                ORDER BY coalesce(waiting + in_flight, 0) DESC, coalesce(lately, 0) DESC,
                    coalesce(own.address, unlanded.from_addr)
            ) AS place
        FROM {Sender._meta.db_table} own FULL JOIN unlanded ON unlanded.from_addr = own.address
            LEFT JOIN gas ON gas.from_addr = own.address
    )
    SELECT CASE WHEN place <= %(most)s THEN address ELSE '{OTHER}' END AS label, coalesce(sum(waiting), 0),
        coalesce(sum(in_flight), 0), min(first_waiting), min(first_in_flight), coalesce(sum(cost), 0)
    FROM ranked GROUP BY label ORDER BY min(place)
"""  # noqa: S608  # constants
WALLETS: Final = f"""
    WITH gas AS (
        SELECT from_addr, sum(cost) AS lately
        FROM {GasSpend._meta.db_table} WHERE day >= %(since_day)s GROUP BY from_addr
    ), ranked AS (
        SELECT address, balance, row_number() OVER (
            ORDER BY coalesce(lately, 0) DESC, balance DESC, address
        ) AS place
        FROM {Wallet._meta.db_table} LEFT JOIN gas ON from_addr = address WHERE balance IS NOT NULL
    )
    SELECT CASE WHEN place <= %(most)s THEN address ELSE '{OTHER}' END AS label, sum(balance)
    FROM ranked GROUP BY label ORDER BY min(place)
"""  # noqa: S608  # constants
HOSTS: Final = f"""
    WITH leased AS (
        SELECT worker_id, count(*) AS tasks
        FROM {Job._meta.db_table}
        WHERE state = '{JobState.LEASED}' AND worker_id IS NOT NULL GROUP BY worker_id
    ), ranked AS (
        SELECT host.*, tenant.name AS tenant, row_number() OVER (
            ORDER BY host.kinds ? '{JobKind.WINDOW_POST}' DESC, host.hardware -> 'cpus' DESC NULLS LAST,
                host.name, host.id
        ) AS place
        FROM {Worker._meta.db_table} host JOIN {Tenant._meta.db_table} tenant ON tenant.id = host.tenant_id
        WHERE host.retired_at IS NULL
    )
    SELECT CASE WHEN place <= %(most)s THEN tenant ELSE '' END AS owner,
        CASE WHEN place <= %(most)s THEN name ELSE '{OTHER}' END AS label,
        min(seen_at), coalesce(sum(tasks), 0), sum(failed), min(free), min(share)
    FROM ranked LEFT JOIN leased ON leased.worker_id = ranked.id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE is_error AND at >= %(since)s) AS failed FROM (
            SELECT event.is_error, event.at FROM {JobEvent._meta.db_table} event
            WHERE event.worker_id = ranked.id AND (event.is_error OR event.event = 'FINALIZE')
                AND event.at >= %(read_since)s
            ORDER BY event.id DESC LIMIT {STEPS_READ}
        ) steps
    ) failures
    LEFT JOIN LATERAL (
        SELECT (disk ->> 0)::float8 AS free, (disk ->> 0)::float8 / (disk ->> 1)::float8 AS share
        FROM (
            SELECT jsonb_build_array(hardware -> 'disk_free_bytes', hardware -> 'disk_total_bytes')
            UNION ALL
            SELECT jsonb_build_array(one -> 'free_bytes', one -> 'total_bytes')
            FROM jsonb_path_query(hardware, '$.disks[*]') one
        ) disks (disk)
        WHERE jsonb_path_exists(disk, 'strict $ ? (@[0] >= 0 && @[1] > 0)') ORDER BY share LIMIT 1
    ) fullest ON true
    GROUP BY owner, label ORDER BY min(place)
"""  # noqa: S608  # constants


def _rows(text: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def miners_by_power(*, most: int, since: datetime, since_epoch: int) -> list[MinerFigures]:
    """Return the miners with most power; wins are those since `since`, windows closed after `since_epoch`."""
    values = {
        "most": most,
        "since": since,
        "since_epoch": since_epoch,
        "losses": [*LOSSES, RoundState.ORPHANED],
    }
    return [MinerFigures(*row) for row in _rows(MINERS, values)]


def senders_by_work(*, most: int, today: date, since_day: date) -> list[SenderFigures]:
    """Return the senders with most messages that have not landed, then those whose gas cost most."""
    values = {"most": most, "today": today, "since_day": since_day}
    return [SenderFigures(*row) for row in _rows(SENDERS, values)]


def wallets_by_gas(*, most: int, since_day: date) -> list[tuple[str, Decimal]]:
    """Return wallets with their balances: those whose gas cost most, then the richest."""
    rows = _rows(WALLETS, {"most": most, "since_day": since_day})
    return [(label, balance) for label, balance in rows]


def hosts_by_size(*, most: int, since: datetime) -> list[HostFigures]:
    """Return the hosts that prove windows, then those with most cores; failures are those since `since`.

    Several hosts of one tenant with one name are summed: Prometheus knows them by their names alone.
    """
    values = {"most": most, "since": since, "read_since": since - STEPS_AGE}
    return [HostFigures(*row) for row in _rows(HOSTS, values)]
