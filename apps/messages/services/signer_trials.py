"""What becomes of messages that are not sent yet: are they signed, do they wait for a person?

Nothing is signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.reasons import listed
from apps.messages.rules.methods import method_text
from apps.messages.rules.push_items import PushItem
from apps.messages.services.dry_run import DryRun, message_approval_read
from apps.messages.services.validate import message_validate
from apps.users.rules.principals import Principal
from apps.wallets.services.policies import signer_refusal_find


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the signer's policy and the approval rules say of messages that are not sent yet."""

    signer: str = ""
    """Why the signer would not sign one of them; empty: it would sign all."""
    approval: str = ""
    """The rules by which they would wait for a second person; empty: none."""


def verdicts_read(requests: Sequence[tuple[Principal, PushItem]], *, by: Principal) -> Verdicts:
    """Return what the signers, asked by `by`, and the approval rules say of messages, each with whose it is.

    With the gas that they name, and until one would not be signed.  Raises BadMessage as a push does.
    """
    needs = (message_approval_read(item, principal=principal) for principal, item in requests)
    rules = [rule for rule in dict.fromkeys(needs) if rule]
    refusals = (_item_refusal_find(item, principal=principal, by=by) for principal, item in requests)
    return Verdicts(signer=next(filter(None, refusals), ""), approval=listed(rules) if rules else "")


def _item_refusal_find(item: PushItem, *, principal: Principal, by: Principal) -> str:
    row = message_validate(item, principal=principal)
    name = method_text(row.to, row.method, kind=item.kind, miners=())
    return signer_refusal_find(by, address=row.from_addr, message=row.chain_message(), method=name)


def run_refusal_find(run: DryRun, *, by: Principal, method: str = "") -> str:
    """Return why the sender's signer would not sign a message after its dry run; empty if it would.

    `method`: its name, where the receiver alone does not tell.
    """
    message = run.message
    name = method or method_text(str(message.to), message.method, kind="", miners=())
    return signer_refusal_find(by, address=str(message.from_), message=message, method=name)
