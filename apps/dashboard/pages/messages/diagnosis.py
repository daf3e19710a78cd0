"""A message's diagnosis as the page shows it: the doctor's finding, then what the chain would check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext

from apps.core import formatting
from apps.core.formatting import plural
from apps.dashboard.cards import Check
from apps.dashboard.pages.messages.listing import URGENT_WAITS, USUAL_WAITS
from apps.messages.diagnosis import message_diagnose, message_remedies
from apps.messages.limits import QUOTA, message_limits
from apps.messages.selectors.stuck import LATE_EPOCHS
from apps.messages.services.fees import LEVELS, MESSAGE, METHOD, SENDER, WHERE
from apps.messages.states import MessageState, Wait
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apps.dashboard.page_data import PageData
    from apps.messages.diagnosis import Diagnosis, Remedy
    from apps.messages.limits import Limit
    from apps.messages.models import Message
    from apps.wallets.models import Wallet


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a message waits, in one sentence, and what happens without a click."""

    tone: str
    title: str
    text: str
    action: str = ""
    href: str = ""


EVIDENCE: Final[dict[str, str]] = {
    "attempts": "attempts",
    "text": "reason",
    "next_try_height": "next try at epoch",
    "balance": "balance",
    "in_flight": "in flight",
    "quota": "sender's quota",
    "gap": "missing nonce",
    "earlier_nonce": "earlier nonce",
    "held_above": "held while the base fee is above (attoFIL)",
    "held_until": "held at most until epoch",
    "budget": "daily budget",
    "spent_today": "spent today, including in flight",
    "expire_epoch": "had to be sent by epoch",
    "address": "address",
}
"""Figures of a diagnosis in words; those that the checks show anyway are left out."""


def finding_of(message: Message, data: PageData) -> tuple[Finding | None, tuple[Check, ...]]:
    """Diagnose a message: the sentence and the lines below it; nothing for one that has its end."""
    if message.state == MessageState.LANDED and message.exit_code:
        return refusal_of(message), ()
    if message.is_final and message.wait != Wait.EXPIRED:
        return None, ()
    diagnosis = message_diagnose(message, head=data.head)
    checks: tuple[Check, ...] = ()
    if not message.is_final:
        clicks = message_remedies(message, diagnosis, head=data.head)
        checks = (
            *message_checks(message, data),
            *limit_checks(message, diagnosis, data),
            *evidence_checks(diagnosis),
            *(click_check(click) for click in clicks),
        )
    return finding_late(message, diagnosis, data) or finding(diagnosis, message, data), tuple(checks)


def finding_late(message: Message, diagnosis: Diagnosis, data: PageData) -> Finding | None:
    """Return the note that blocks pass over a message that pays enough and is in flight for long."""
    since = message.published_at
    if diagnosis.reason != Wait.IN_POOL or since is None or data.head is None or data.network is None:
        return None
    age_s = (data.head.arrived_at - since).total_seconds()
    if age_s < LATE_EPOCHS * data.network.epoch_s:
        return None
    held = gettext("Not included in a block for {age_s}, although its fee cap is above the base fee.").format(
        age_s=formatting.time_left(age_s)
    )
    return Finding(
        tone="warn",
        title=held,
        text="Blocks may be full of messages with a higher premium, or the nodes do not propagate it."
        " Raise its fees, publish it again, and check the nodes (page Chain).",
    )


def refusal_of(message: Message) -> Finding:
    """Return why the chain refused a message that landed."""
    words = exit_code_text(message.exit_code)
    return Finding(
        tone="bad",
        title=gettext("It failed on chain with exit code {exit_code}.").format(exit_code=message.exit_code),
        text=gettext("{first}{rest}. Its nonce and gas are spent; send a new message.").format(
            first=words[:1].upper(), rest=words[1:]
        ),
    )


def when_text(diagnosis: Diagnosis, data: PageData) -> str:
    """Return when something happens by itself; empty where nobody knows."""
    if diagnosis.next_epoch is None or data.head is None:
        return ""
    epochs = diagnosis.next_epoch - data.head.height
    if epochs <= 1 or data.network is None:
        return gettext(" Next check: epoch {next_epoch}, the next head.").format(
            next_epoch=formatting.whole(diagnosis.next_epoch)
        )
    in_text = formatting.time_left(epochs * data.network.epoch_s)
    return gettext(" Next check: epoch {next_epoch}, in about {in_text}.").format(
        next_epoch=formatting.whole(diagnosis.next_epoch), in_text=in_text
    )


def finding(diagnosis: Diagnosis, message: Message, data: PageData) -> Finding:
    """Put a diagnosis into the page's words."""
    tone = "run"
    if diagnosis.reason in URGENT_WAITS:
        tone = "bad"
    elif diagnosis.reason not in USUAL_WAITS:
        tone = "warn"
    earlier = str(diagnosis.evidence.get("earlier_id", ""))
    action, href = ("Open that message", reverse("message", args=[earlier])) if earlier else ("", "")
    if diagnosis.reason == Wait.POLICY and any(row.address == message.from_addr for row in data.wallets):
        action, href = "Open the signing policy", reverse("policy", args=[message.from_addr])
    if diagnosis.reason == Wait.FEE_LIMIT and data.viewer.may("sign"):
        action, href = "Raise fee…", reverse("message-replace", args=[message.id])
    return Finding(
        tone=tone,
        title=f"{diagnosis.words[:1].upper()}{diagnosis.words[1:]}.",
        text=gettext("What happens next: {by_itself}.{diagnosis}").format(
            by_itself=diagnosis.by_itself, diagnosis=when_text(diagnosis, data)
        ),
        action=action,
        href=href,
    )


LIMITS: Final[dict[str, str]] = {
    "max_fee": "max fee",
    "gas_fee_cap": "fee cap",
    "base_fee": "base fee limit",
    QUOTA: "quota in flight",
    "daily_budget": "daily budget",
    "hold_base_fee": "hold above base fee",
}
IN_FIL: Final = ("max_fee", "daily_budget")
"""Limits that are amounts of money; the others are prices of one unit of gas."""


def limit_checks(message: Message, diagnosis: Diagnosis, data: PageData) -> Iterable[Check]:
    """Lay out every limit that is set for a message, which one holds, and where it is changed."""
    for limit in message_limits(message, reason=diagnosis.reason, head=data.head):
        value = limit_text(limit)
        tone, word = ("ok", "in force") if limit.binds else ("idle", "not used")
        if limit.blocks:
            tone, word, value = "bad", "blocks", f"{value}. {WHERE[limit.level]}"
        what = f"{LEVELS[limit.level]} {LIMITS[limit.setting]}"
        yield Check(what, value, tone, word, limit_href(limit, message, data))


def limit_text(limit: Limit) -> str:
    """Return a limit's value with its unit."""
    if limit.setting == QUOTA:
        return plural(limit.value, "message")
    return fil_format(limit.value) if limit.setting in IN_FIL else formatting.fee_text(limit.value)


def limit_href(limit: Limit, message: Message, data: PageData) -> str:
    """Return the page on which a limit is changed; empty where the viewer cannot change it."""
    if not data.viewer.may("sign"):
        return ""
    if limit.level == MESSAGE:
        return reverse("message-replace", args=[message.id])
    if limit.level == SENDER:
        return reverse("sender", args=[limit.target])
    if limit.level == METHOD:
        return f"{reverse('gas')}#h-methods" if data.viewer.is_operator else ""
    return reverse("gas")


CLICKS: Final[dict[str, str]] = {
    "fund": "If you fund the sender",
    "raise-fee": "If you raise its fee",
    "fee-rules": "If you change fee rules or guards",
    "quota": "If you raise the sender's quota",
    "start-sender": "If you resume the sender",
    "republish": "If you publish it again",
    "replace": "If you raise its fees",
    "replace-earlier": "If you replace the earlier one",
    "cancel": "If you cancel it",
    "retry-now": "Retry now",
    "mark-bad": "If you mark it as failed",
}
"""Actions as the first words of a sentence."""


def click_check(click: Remedy) -> Check:
    """Return what an action would do, and what it costs at most."""
    cost = (
        ""
        if click.cost is None
        else gettext(", for at most {cost} FIL").format(cost=formatting.fil(click.cost))
    )
    return Check(CLICKS[click.action], f"{click.does}{cost}", "idle", "")


def evidence_checks(diagnosis: Diagnosis) -> Iterable[Check]:
    """Yield the figures behind a finding."""
    for name, value in diagnosis.evidence.items():
        if name in EVIDENCE and value not in (None, ""):
            words = formatting.whole(value) if isinstance(value, int) else str(value)
            yield Check(EVIDENCE[name][:1].upper() + EVIDENCE[name][1:], words, "idle", "")


def message_checks(message: Message, data: PageData) -> Iterable[Check]:
    """Look at what could hold a message up, in the order in which the chain would refuse."""
    wallet = next((w for w in data.wallets if w.address == message.from_addr), None)
    if wallet is None or not wallet.is_served(data.at):
        yield Check("Signer is connected", "no connected signer holds the key", "bad", "no")
    elif message.wait == Wait.SIGNER_AWAY and message.tenant is not None:
        say = gettext("{account} is, but it does not serve {tenant} (page Gateway)").format(
            account=wallet.account, tenant=message.tenant.name
        )
        yield Check("Signer is connected", say, "bad", "no")
    else:
        yield Check("Signer is connected", wallet.account, "ok", "yes")
    if wallet is not None and wallet.balance is not None:
        yield funds_check(message, wallet)
    yield nonce_check(message, wallet)
    base_fee = None if data.head is None else int(data.head.base_fee)
    if message.gas_fee_cap and base_fee is not None:
        enough = message.gas_fee_cap >= base_fee
        say = gettext("{gas_fee_cap}, base fee {base_fee}").format(
            gas_fee_cap=formatting.fee_text(message.gas_fee_cap), base_fee=formatting.fee_text(base_fee)
        )
        yield Check(
            "Fee cap is above the base fee", say, "ok" if enough else "bad", "yes" if enough else "no"
        )
    if message.expire_epoch:
        yield Check(
            "Not expired",
            gettext("to be sent by epoch {expire_epoch}").format(
                expire_epoch=formatting.whole(message.expire_epoch)
            ),
            "ok",
            "yes",
        )


def funds_check(message: Message, wallet: Wallet) -> Check:
    """Whether the sender can pay value and the most that the gas may cost."""
    need = message.value + message.gas_fee_cap * message.gas_limit
    enough = (wallet.balance or 0) >= need
    say = gettext("{balance} FIL available, at most {need} FIL needed").format(
        balance=formatting.fil(wallet.balance), need=formatting.fil(need)
    )
    what = "Balance covers the maximum cost" if message.gas_fee_cap else "Balance covers its value"
    return Check(what, say, "ok" if enough else "bad", "yes" if enough else "no")


def nonce_check(message: Message, wallet: Wallet | None) -> Check:
    """Whether the chain wants this nonce next."""
    if message.nonce is None:
        return Check("Nonce is the next one", "assigned when it is signed", "idle", "not yet")
    if wallet is None or wallet.nonce is None:
        return Check("Nonce is the next one", formatting.whole(message.nonce), "idle", "unknown")
    ahead = message.nonce - wallet.nonce
    say = gettext("{nonce}; next on chain is {next}").format(
        nonce=formatting.whole(message.nonce), next=formatting.whole(wallet.nonce)
    )
    if ahead <= 0:
        return Check("Nonce is the next one", say, "ok", "yes")
    return Check(
        "Nonce is the next one",
        say,
        "idle",
        gettext("{ahead} earlier").format(ahead=formatting.whole(ahead)),
    )
