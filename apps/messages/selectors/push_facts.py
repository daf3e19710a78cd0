"""What a push has to know of the database, asked with one question: a caller of one push waits for each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from apps.chain.models import Follower, Head
from apps.core.prepared_statements import Prepared
from apps.messages.models import ApprovalRule, Receiver, Sender
from apps.users.models import SignerGrant
from apps.wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class PushFacts:
    """What is known of the head, of some senders and of some receivers."""

    height: int
    """Of the newest head; 0 before the first one."""
    grants: set[tuple[int | None, str]]
    """Pairs of tenant and address: whose messages may be signed for which sender."""
    wallets: set[str]
    """Senders that the pool itself knows."""
    senders: dict[str, str]
    """Senders that have a row, with their states."""
    balances: dict[str, int]
    """What senders have as far as that is known: at the newest head, else when last read."""
    receivers: dict[str, str]
    """Receivers whose kind of actor is stored."""
    rules: list[ApprovalRule]
    """What waits for a second person."""

    def is_granted(self, tenant_id: int | None, address: str) -> bool:
        """Return whether a tenant may send from an address; None is the pool itself: any that it knows."""
        if tenant_id is None:
            return address in self.wallets or any(address == granted for _, granted in self.grants)
        return (tenant_id, address) in self.grants


# Only names of tables are pasted into the statement.
FACTS: Final = Prepared(
    "push_facts",
    f"SELECT 'head', h.height, '', '', NULL::numeric FROM {Head._meta.db_table} h"  # noqa: S608
    f" WHERE h.id = (SELECT f.head_id FROM {Follower._meta.db_table} f ORDER BY f.id LIMIT 1)"
    f" UNION ALL SELECT 'grant', tenant_id, address, '', NULL FROM {SignerGrant._meta.db_table}"
    " WHERE address = ANY($1) AND deleted_at IS NULL"
    f" UNION ALL SELECT 'sender', 0, address, state, balance FROM {Sender._meta.db_table}"
    " WHERE address = ANY($1)"
    f" UNION ALL SELECT 'wallet', 0, address, '', balance FROM {Wallet._meta.db_table}"
    " WHERE address = ANY($1)"
    f" UNION ALL SELECT 'receiver', 0, address, kind, NULL FROM {Receiver._meta.db_table}"
    " WHERE address = ANY($2)"
    " UNION ALL SELECT 'rule', coalesce(tenant_id, 0), actor, coalesce(method::text, ''), above"
    f" FROM {ApprovalRule._meta.db_table}",
    ("text[]", "text[]"),
)
"""Columns: what it is about, height or tenant, address, text, balance.  Wallets come after senders: their
balances are newer."""


def push_facts(*, senders: Collection[str], receivers: Collection[str]) -> PushFacts:
    """Fetch what there is about these senders and receivers, with one query."""
    rows: list[tuple[str, int, str, str, Decimal | None]]
    rows = FACTS.rows([list(senders), list(receivers)])
    return PushFacts(
        height=next((number for what, number, *_ in rows if what == "head"), 0),
        grants={(number, address) for what, number, address, *_ in rows if what == "grant"},
        wallets={address for what, _, address, *_ in rows if what == "wallet"},
        senders={address: text for what, _, address, text, _ in rows if what == "sender"},
        balances={
            address: int(balance)
            for what, _, address, _, balance in rows
            if balance is not None and what != "rule"
        },
        receivers={address: text for what, _, address, text, _ in rows if what == "receiver"},
        rules=[
            ApprovalRule(
                tenant_id=number or None,
                actor=actor,
                method=int(method) if method else None,
                above=int(above or 0),
            )
            for what, number, actor, method, above in rows
            if what == "rule"
        ],
    )
