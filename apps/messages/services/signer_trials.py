"""Asking the signer of a message's sender what its policy would decide; nothing is signed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apps.messages.rules.methods import method_text
from apps.wallets.services.policies import signer_refusal_find

if TYPE_CHECKING:
    from apps.messages.services.dry_run import DryRun
    from apps.users.rules.principals import Principal


def run_refusal_find(run: DryRun, *, by: Principal, method: str = "") -> str:
    """Return why the sender's signer would not sign a message after its dry run; empty if it would.

    `method`: its name, where the receiver alone does not tell.
    """
    message = run.message
    name = method or method_text(str(message.to), message.method, kind="", miners=())
    return signer_refusal_find(by, address=str(message.from_), message=message, method=name)
