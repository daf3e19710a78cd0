"""Keeping what the chain says of our addresses: balance, nonce and number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import F, Q

from apps.chain.errors import NodeRefused
from apps.chain.node.client import ChainClient
from apps.chain.node.parallel import map_parallel
from apps.core.compiled import Compiled
from apps.core.live import Change, publish
from apps.wallets.models import Wallet
from apps.wallets.services.served_wallets import served_wallets_sync
from poolsite.filecoin.address import BadAddress, address_parse

TURN_MIN: Final = 100
"""Wallets that are asked for in turn; a pool of no more has all balances of its last turn."""
TURN_HEADS: Final = 60
"""All wallets of a larger pool are read within so many heads, moved or not."""
MOVED_MAX: Final = 1_000
"""Most of those that moved at one head; the others come with the next ones."""
CALLS_MAX: Final = 50
"""Calls in one request."""
READ_AHEAD: Final = timedelta(seconds=30)
"""A node answers by its head some time before that one is followed."""
HAS_MOVED: Final = Q(checked_at=None) | Q(moved_at__isnull=False, moved_at__gte=F("checked_at"))
OLDEST_FIRST: Final = F("checked_at").asc(nulls_first=True)
MOVED: Final[Compiled[Wallet]] = Compiled(
    "wallets_moved",
    lambda: Wallet.objects.filter(HAS_MOVED).order_by(OLDEST_FIRST, "pk")[:MOVED_MAX],
)


def moved_wallets_mark(addresses: Collection[str], *, at: datetime) -> None:
    """Note that messages from or to these addresses moved: the next refresh asks for them first."""
    numbers = [int(one[2:]) for one in addresses if one.startswith("f0")]
    Wallet.objects.filter(Q(address__in=addresses) | Q(actor_id__in=numbers)).update(moved_at=at)


def stale_wallets_mark(*, since: datetime) -> None:
    """Note which wallets were read since then, on a branch that was left: they are read anew, with numbers.

    An address that the branch created may have another number now, and this one belong to a stranger.
    """
    Wallet.objects.filter(checked_at__gte=since - READ_AHEAD).update(checked_at=None)


def _wallets_due() -> list[Wallet]:
    """Return the wallets to ask for now: those that moved or are new, and some of the rest in turn."""
    moved = MOVED.rows()
    batch = max(TURN_MIN, -(-Wallet.objects.count() // TURN_HEADS))
    rest = Wallet.objects.exclude(pk__in=[wallet.pk for wallet in moved])
    return moved + list(rest.order_by(OLDEST_FIRST, "pk")[:batch])


def wallets_refresh(*, client: ChainClient, now: datetime) -> int:
    """Refresh balance, nonce and number of the wallets that are due; returns how many changed.

    Whether any is, apps/wallets/due.py decides.  Raises NodeUnavailable if no node answers.
    """
    served_wallets_sync(now=now)
    wallets = _wallets_due()
    unnumbered = [wallet for wallet in wallets if wallet.actor_id is None or wallet.checked_at is None]
    calls: list[tuple[str, Sequence[Any]]] = [("StateGetActor", (one.address, [])) for one in wallets]
    calls += [("StateLookupID", (wallet.address, [])) for wallet in unnumbered]
    answers = _answers(client, calls)
    actors, numbers = answers[: len(wallets)], answers[len(wallets) :]
    ids = {wallet.pk: _number(wallet, answer) for wallet, answer in zip(unnumbered, numbers, strict=True)}
    changed: set[int] = set()
    for wallet, actor in zip(wallets, actors, strict=True):
        balance, nonce = actor_read(actor)
        actor_id = ids.get(wallet.pk, wallet.actor_id)
        if (balance, nonce, actor_id) != (wallet.balance, wallet.nonce, wallet.actor_id):
            wallet_update(wallet, balance=balance, nonce=nonce, actor_id=actor_id, now=now)
            changed.add(wallet.pk)
    same = [wallet.pk for wallet in wallets if wallet.pk not in changed]
    Wallet.objects.filter(pk__in=same).update(checked_at=now)
    return len(changed)


def _number(wallet: Wallet, answer: Any) -> int | None:
    """Return a wallet's number; the known one while no node says."""
    is_missing = isinstance(answer, NodeRefused) and "actor not found" in answer.reason
    return actor_id_read(answer) or (None if is_missing else wallet.actor_id)


def _answers(client: ChainClient, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
    """Query in several requests at a time.  Raises NodeUnavailable."""
    parts = [calls[at : at + CALLS_MAX] for at in range(0, len(calls), CALLS_MAX)]
    found: list[Any] = []
    for answers in map_parallel(client.call_many, parts):
        if isinstance(answers, Exception):
            raise answers
        found += answers
    return found


@transaction.atomic
def wallet_update(
    wallet: Wallet, *, balance: int | None, nonce: int | None, actor_id: int | None, now: datetime
) -> None:
    """Store what the chain said, and publish it to the pages."""
    Wallet.objects.filter(pk=wallet.pk).update(
        balance=balance, nonce=nonce, actor_id=actor_id, checked_at=now
    )
    publish(Change("wallet", wallet.pk, wallet.tenant_id))


def actor_read(answer: Any) -> tuple[int | None, int | None]:
    """Read balance and nonce; an address that the chain does not know has nothing."""
    if isinstance(answer, NodeRefused):
        return (0, 0) if answer.is_missing_actor else (None, None)
    return int(answer["Balance"]), int(answer["Nonce"])


def actor_id_read(answer: Any) -> int | None:
    """Read an ID address."""
    if isinstance(answer, NodeRefused):
        return None
    try:
        return address_parse(answer).actor_id
    except BadAddress:
        return None
