"""What another policy would have decided of all that was asked lately, from the signer's own records."""

from __future__ import annotations

import operator
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.cbor import BadCbor
from poolsite.filecoin.message import message_from_cbor
from workers.signer.errors import Denied, NotUnderstood
from workers.signer.message_payloads import message_request
from workers.signer.payloads import payload_decode
from workers.signer.sign_request import DRAW_RANDOM, FINALITY, MESSAGE, VERIFY_ADDRESS, Amounts, SignRequest
from workers.signer.signing import barrier_check

if TYPE_CHECKING:
    from workers.signer.policy import Policy
    from workers.signer.records import Records


MASS_MAX: Final = 1_000
"""Of draws and votes: they move nothing and come by the thousands, so a few of them tell as much as all."""
SCANNED_MAX: Final = 2_000_000
"""Records among which a limited backtest looks, the newest: 2 GB of a busy signer's, a second's work."""
ALL: Final = "SELECT * FROM record WHERE at > ? ORDER BY seq"
NEWEST: Final = f"""
SELECT * FROM record WHERE seq > :floor AND at > :since
AND (type IN ('{DRAW_RANDOM}', '{FINALITY}')) = :is_mass AND type != '{VERIFY_ADDRESS}'
ORDER BY seq DESC LIMIT :limit
"""  # noqa: S608  # our names


@dataclass(frozen=True, slots=True)
class Change:
    """Something that would be decided otherwise."""

    at: str
    text: str
    before: str
    after: str
    is_refusal: bool
    """It was signed and would be refused."""
    is_permission: bool
    """It was refused and would be signed."""


@dataclass(slots=True)
class Backtest:
    """What a policy would have done."""

    since: datetime
    """From when on all was looked at but draws and votes: later than asked for if that is too much."""
    requests: int = 0
    """Things that it was asked about; bytes that were not understood are no policy's business."""
    changes: list[Change] = field(default_factory=list)


class Days:
    """Sums of a day as they would have been, by rule, key and day; requests of one `group` count once."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str, str], dict[str, Amounts]] = defaultdict(dict)
        self.sums: dict[tuple[str, str, str], Amounts] = defaultdict(Amounts)

    def add(self, request: SignRequest, *, rule: str, address: str, day: str) -> None:
        """Count a request that would have been signed."""
        key = (rule, address, day)
        others = self.beside(request, address=address, day=day)(rule)
        self.sums[key] = Amounts(*map(operator.add, others, request.amounts))
        most = self.groups[key].get(request.group, Amounts())
        self.groups[key][request.group] = Amounts(*map(max, most, request.amounts))

    def beside(self, request: SignRequest, *, address: str, day: str) -> Callable[[str], Amounts]:
        """Return what each rule would have let this key spend that day, beside the request itself."""

        def spent(rule: str) -> Amounts:
            key = (rule, address, day)
            own = map(min, self.groups[key].get(request.group, Amounts()), request.amounts)
            return Amounts(*map(operator.sub, self.sums[key], own))

        return spent


def request_from_record(row: sqlite3.Row) -> SignRequest | None:
    """Decode a recorded request; None if it never was understood."""
    address = address_parse(row["address"])
    try:
        if row["type"] == MESSAGE:
            return message_request(message_from_cbor(row["raw"]), address, raw=row["raw"])
        return payload_decode(
            address=address, to_sign=row["raw"], meta_type=row["type"], extra=b"", sign_bytes=b""
        )
    except (NotUnderstood, BadCbor):
        return None


def backtest_run(records: Records, policy: Policy, *, since: datetime, limit: int = 0) -> Backtest:
    """Return what a policy would have decided of all that was recorded since then, in its order.

    With a limit, only that many of these records are looked at, the newest, and few draws and votes.  What no
    policy can allow stays refused, as a block where the miner has signed another one is, even if this policy
    would have refused that other one.
    """
    rows: Iterable[sqlite3.Row]
    if limit:
        rows, since = newest_rows(records, since=since, limit=limit)
    else:  # one by one: a month of a busy signer's takes gigabytes
        rows = records.link.execute(ALL, (since.astimezone(UTC).isoformat(),))
    found, days = Backtest(since), Days()
    for row in rows:
        request = None if row["type"] == VERIFY_ADDRESS else request_from_record(row)
        if request is None:
            continue
        found.requests += 1
        verdict = policy.decide(
            request,
            caller=row["caller"],
            now=datetime.fromisoformat(row["at"]),
            rule_set=row["rule_set"],
            spent=days.beside(request, address=row["address"], day=row["day"]),
        )
        try:
            barrier_check(request, records)
        except Denied as error:
            verdict = replace(verdict, rule="", error=verdict.error or str(error))
        if not verdict.error and any(request.amounts):
            days.add(request, rule=verdict.rule, address=row["address"], day=row["day"])
        before, after = decision_text(row["rule"], row["error"]), decision_text(verdict.rule, verdict.error)
        if before != after and not (row["error"] and verdict.error):
            is_refusal, is_permission = bool(verdict.error), bool(row["error"])
            found.changes.append(Change(row["at"], row["words"], before, after, is_refusal, is_permission))
    return found


def newest_rows(records: Records, *, since: datetime, limit: int) -> tuple[list[sqlite3.Row], datetime]:
    """Return the newest records in their order, and from when on these are all, but for draws and votes."""
    last = records.link.execute("SELECT COALESCE(MAX(seq), 0) FROM record").fetchone()[0]
    where = {"floor": last - SCANNED_MAX, "since": since.astimezone(UTC).isoformat(), "limit": limit}
    rows = records.link.execute(NEWEST, {**where, "is_mass": False}).fetchall()
    mass = {**where, "is_mass": True, "limit": min(limit, MASS_MAX)}
    oldest = rows[-1] if len(rows) == limit else None
    if oldest is None and last > SCANNED_MAX:
        floor = "SELECT at FROM record WHERE seq > :floor ORDER BY seq LIMIT 1"
        oldest = records.link.execute(floor, where).fetchone()
    if oldest is not None:
        since = max(since, datetime.fromisoformat(oldest["at"]))
    rows += records.link.execute(NEWEST, mass).fetchall()
    return sorted(rows, key=lambda row: row["seq"]), since


def decision_text(rule: str, error: str) -> str:
    """Return how something was decided."""
    return f"refused ({error})" if error else f"signed by '{rule}'"
