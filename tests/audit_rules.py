"""What a line of the audit log must say, by its action; the lines of tests of routes are held to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db.models.signals import post_init

from apps.users.models import AuditEntry

CHANGES: Final = frozenset(
    {
        *(
            "alerts.channel.set",
            "billing.terms",
            "check.severity",
            "devnet.set_faults",
            "gas.auto-bump.set",
            "gas.guard.set",
            "message.replace",
            "service.targets",
            "status.note",
            "status.visibility",
        ),
        *(
            "market.set",
            "miner.address-change",
            "miner.batches",
            "miner.porep",
            "miner.proving",
            "miner.senders",
        ),
        *("miner.move-cancel", "miner.move-in", "miner.move-out"),
        *("miner.target", "mining.start", "mining.stop", "node.extra", "node.set", "person.role"),
        *("piece.purpose", "policy.change", "pool.proving", "rules.set", "sector.abort", "sector.back"),
        *("sector.pause", "sector.restore", "sector.retry", "sector.retry-all", "sector.state-set"),
        *("sender.nonce", "sender.set"),
        *("auto-rule.set", "auto-rule.stop", "auto-rule.switch", "remote-wallet.set"),
        *("settings.change", "store.labels", "store.set_store", "tenant.update", "wallet.label"),
        *("market.set", "tenant.piece-quota"),
        *("worker.drain", "worker.group", "worker.pause", "worker.resume", "worker.settings"),
    }
)
"""A value that was there is another one now: the line has both, under the same name."""
NEW: Final = frozenset(
    {"billing.terms", "gas.auto-bump.set", "gas.guard.set", "miner.target", "node.extra", "rules.set"}
    | {"service.targets"}
)
"""Of these the first time there was none."""
ENDS: Final = frozenset(
    {
        *(
            "alert.unacknowledge",
            "alerts.channel.remove",
            "deal.end",
            "approval.rule.remove",
            "chain.unbind",
            "check.unmute",
            "gas.guard.remove",
            "miner.remove",
            "miner.target-remove",
        ),
        *("miner.ungrant", "node.extra.remove", "node.remove", "piece.remove", "ratelimit.drop"),
        *("rules.remove", "sender.delete", "signer.ungrant", "statement.unpay", "store.forget"),
        *("auto-rule.remove", "client.token-revoke", "remote-wallet.remove"),
        "status.maintenance.end",
        "tenant.delete",
        "store.check_cancel",
        *("console.remove", "offline.key-remove", "store.moves_cancel", "store.scan_cancel", "worker.retire"),
    }
)
"""Something is no more: the line says what it was."""
MAKES: Final = frozenset(
    {
        *(
            "account.approve",
            "alert.acknowledge",
            "alert.comment",
            "alerts.channel.add",
            "approval.rule.add",
            "billing.correct",
            "check.mute",
            "claims.extend",
            "client.token-create",
            "import",
            "message.push",
            "miner.create",
            "miner.grant",
        ),
        *(
            "miner.import",
            "market.settle",
            "miner.withdraw",
            "multisig.propose",
            "offline.key-add",
            "status.maintenance",
            "node.add",
            "person.create",
            "person.invite",
            "piece.add",
            "deal.fetch",
            "deal.import",
            "piece.begin",
        ),
        *("piece.repeat", "ratelimit.set", "sector.pledge", "signer.grant", "statement.pay"),
        *("auto-rule.act", "auto-rule.add", "remote-wallet.add", "tenant.create", "token.create"),
    }
)
"""Something is new: the line says what it is."""
DOES: Final = frozenset(
    {
        *("alerts.channel.test", "devnet.reset_faults", "gateway.disconnect", "gateway.reverse", "log.level"),
        *(
            "sector.end-stage",
            "login",
            "login.refuse",
            "message.cancel",
            "message.clear",
            "message.mark-bad",
            "message.mark-bad-all",
            "message.recover",
            "message.export",
            "message.sign-import",
        ),
        *(
            "approval.rule.removal-cancel",
            "approval.rule.removal-request",
            "message.approve",
            "message.refuse",
        ),
        *("message.republish", "message.republish-all", "message.retry", "message.retry-all"),
        *("message.retry-now", "message.search"),
        "miner.batches-send",
        *("miner.pieces-seal", "miner.role-fail-over", "miner.role-give", "miner.role-remove"),
        *("miner.roles-combine", "miner.roles-separate", "person.password", "person.reset", "piece.deliver"),
        "piece.index",
        "sector.end-stage",
        *("policy.refused", "proving.compact", "proving.dry_run", "proving.job-remove", "proving.job-reset"),
        *("miner.move-force", "multisig.approve", "multisig.cancel", "proving.recover"),
        *("proving.sector_test", "recovery.decide", "recovery.end", "recovery.moves", "recovery.pledges"),
        *("sector.adopt", "sector.adopt-cancel", "sector.change-cancel", "sector.finalize"),
        *(
            "sector.numbers-export",
            "sector.numbers-import",
            "sector.numbers-reserve",
            "sector.rebuild",
            "sector.record-import",
            "sector.record-import-all",
        ),
        *(
            "sector.remove-files",
            "sector.snap-up",
            "sector.snap-up-all",
            "sector.unsealed-remove",
            "store.check",
            "store.move",
        ),
        *(
            "store.redeclare",
            "store.remove_leftovers",
            "store.scan",
            "tenant.restore",
            "token.join",
            "token.restore",
            "token.revoke",
            "console.join",
        ),
        *("piece.unseal-retry", "worker.pings-forget", "worker.register", "worker.remove_leftovers"),
        "worker.reset_drives",
        *("console.join", "worker.retire_drained"),
    }
)
"""An act that changes no value of a setting; what it did is told by its object's own rows."""
NUMBERS: Final = frozenset(
    {
        *("actor_version", "code", "count", "height", "id", "messages_of_from_tenant", "method", "nonce"),
        *(
            "number",
            "partitions",
            "proposal",
            "sectorid",
            "sectors",
            "tokens_kept",
            "tokens_revoked",
            "type",
            "version",
        ),
        *("approvals", "bytes", "commit", "precommit", "priority", "threshold", "token", "weight"),
        *("boot", "deadline", "next_number", "numbers", "sector"),
    }
)
"""Names that are their own unit, or have none."""


DEVNET: Final = "devnet."
"""Faults are the small chain's own settings, and are named as its node names them: `lagMs`."""


def complaint(action: str, before: Any, after: Any) -> str:
    """Return what is wrong with a line; empty if nothing is."""
    bare = sorted({name for one in (before, after) for name in bare_numbers(one)} - NUMBERS)
    if bare and not action.startswith(DEVNET):
        return f"{action}: no unit with {', '.join(bare)}"
    if action in CHANGES:
        if before is None and action not in NEW:
            return f"{action}: nothing of what it was"
        if not after:
            return f"{action}: nothing of what it is"
        was = before or {}
        if all(was.get(name) == value for name, value in after.items()) and was.keys() <= after.keys():
            return f"{action}: what it is is what it was"
        if was and not was.keys() & after.keys():
            return f"{action}: no name in both"
    if action in ENDS and not before:
        return f"{action}: nothing of what it was"
    if action in MAKES and not after:
        return f"{action}: nothing of what it is"
    return ""


def bare_numbers(value: Any, name: str = "") -> Iterator[str]:
    """Yield the names under which a number stands without its unit."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from bare_numbers(one, str(key))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from bare_numbers(one, name)
    elif (isinstance(value, str) and value.isdecimal()) or type(value) in (int, float):
        yield name


class CheckedLines:
    """While it is open no line is made that breaks the rules."""

    def __enter__(self) -> CheckedLines:
        post_init.connect(self._check, sender=AuditEntry)
        return self

    def __exit__(self, *_: object) -> None:
        post_init.disconnect(self._check, sender=AuditEntry)

    def _check(self, instance: AuditEntry, **_: Any) -> None:
        wrong = complaint(instance.action, instance.before, instance.after)
        assert not wrong, (wrong, instance.before, instance.after)
