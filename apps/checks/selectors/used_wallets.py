"""Those of a large pool's wallets that may run dry: few of many."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from apps.messages.selectors.messages import messages_open
from apps.miners.models import Miner
from apps.users.rules.principals import Principal
from apps.wallets.models import Wallet
from apps.wallets.selectors import wallets_visible


def wallets_used(
    viewer: Principal, miners: Iterable[Miner], *, paid: Iterable[str], has_open: bool
) -> list[Wallet]:
    """Return the viewer's wallets that a miner names, that paid gas lately, or that have open messages."""
    named = {address for one in miners for address in (one.worker, one.owner, *one.control)}
    is_used = Q(address__in=named.union(paid))
    if has_open:
        is_used |= Q(address__in=messages_open(viewer).order_by().values("from_addr"))
    return list(wallets_visible(viewer).filter(is_used))
