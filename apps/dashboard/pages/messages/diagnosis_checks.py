"""What is checked of a message that waits: limits, evidence, funds, nonces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.core import formatting
from apps.core.formatting import plural
from apps.core.languages import list_text, sentence_text
from apps.core.reasons import shown_text
from apps.dashboard.cards import Check
from apps.dashboard.page_data import PageData
from apps.messages.rules.causes import Cause
from apps.messages.selectors.diagnosis import Diagnosis
from apps.messages.selectors.fees import GUARD, LEVELS, MESSAGE, METHOD, POOL, TENANT, WHERE
from apps.messages.selectors.message_limits import QUOTA, Limit, message_limits
from apps.messages.states import Wait
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_visible
from poolsite.filecoin.amounts import fil_format

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from apps.messages.models import Message
    from apps.wallets.models import Wallet

EVIDENCE: Final[dict[str, StrOrPromise]] = {
    "pushed_by": _("pushed by"),
    "approvers": _("may approve it"),
    "attempts": _("attempts"),
    "next_try_height": _("next try at epoch"),
    "balance": _("balance"),
    "in_flight": _("in flight"),
    "quota": _("sender's quota"),
    "gap": _("missing nonce"),
    "earlier_nonce": _("earlier nonce"),
    "held_above": _("held while the base fee is above (attoFIL)"),
    "held_until": _("held at most until epoch"),
    "budget": _("daily budget"),
    "spent_today": _("spent today, including in flight"),
    "expire_epoch": _("had to be sent by epoch"),
    "address": _("address"),
}
"""Figures of a diagnosis in words; those that the checks show anyway are left out."""
LIMITS: Final[dict[str, StrOrPromise]] = {
    "max_fee": _("max fee"),
    "gas_fee_cap": _("fee cap"),
    "base_fee": _("base fee limit"),
    QUOTA: _("quota in flight"),
    "daily_budget": _("daily budget"),
    "hold_base_fee": _("hold above base fee"),
}
OPERATORS: Final[dict[str, tuple[str, str]]] = {
    METHOD: ("gas", "#h-methods"),
    POOL: ("gas-rules", ""),
    GUARD: ("gas", "#h-guards"),
}
"""Levels of which only an operator changes a limit: the page's name and the place there."""
IN_FIL: Final = ("max_fee", "daily_budget")
"""Limits that are amounts of money; the others are prices of one unit of gas."""


CAUSES: Final[dict[str, StrOrPromise]] = {
    Wait.APPROVAL: _("A second person approved it"),
    Wait.POLICY: _("Its signer's policy allows it"),
    Wait.ESTIMATE: _("It passes the node's trial"),
    Wait.NO_ACTOR: _("The sender exists on chain"),
    Wait.STOPPED: _("Its sender may send"),
    Wait.OTHER_PROGRAM: _("Its sender may send"),
    Wait.SIGNED_BEFORE: _("Its nonce is free"),
    Wait.RECOVERY: _("The pool is not in recovery"),
    Wait.EARLIER_NONCE: _("No earlier message holds it up"),
    Wait.NODE_REFUSES: _("The nodes accept it"),
    Wait.NODE_AWAY: _("A node answers"),
    Wait.EXPIRED: _("Not expired"),
    Wait.NONCE_TAKEN: _("Its nonce is its own"),
}
"""What is checked, by the reason that is shown in red there; the other reasons have lines of their own."""
UNHINDERED: Final = (Wait.NONE, Wait.NEXT_HEAD, Wait.IN_POOL, Wait.OFFLINE)


def cause_check(message: Message, diagnosis: Diagnosis, data: PageData) -> Check:
    """Return the line that says what exactly holds a message up, or ended it, with the way to change it."""
    what = CAUSES.get(diagnosis.reason)
    if what is None and diagnosis.is_refused:
        what = _("It succeeded on chain")
    if diagnosis.refusal.cause == Cause.GRANT:
        what = _("Its tenant may use the address")
    if what is None:
        what = _("It was carried out") if message.is_final else _("Its limits allow it")
    return Check(what, capfirst(diagnosis.text), "bad", gettext("no"), cause_href(message, diagnosis, data))


def cause_href(message: Message, diagnosis: Diagnosis, data: PageData) -> str:
    """Return the page on which the viewer changes what holds a message up; empty if there is none."""
    if "policy" in diagnosis.actions:
        return policy_href(diagnosis, message, data)
    if "grant" in diagnosis.actions:
        return reverse("tenants") if data.viewer.is_operator else ""
    if diagnosis.reason == Wait.APPROVAL and data.viewer.may("admin"):
        return reverse("approvals")
    if diagnosis.reason in (Wait.STOPPED, Wait.OTHER_PROGRAM) and data.viewer.may("sign"):
        return reverse("sender", args=[message.from_addr])
    return ""


def policy_href(diagnosis: Diagnosis, message: Message, data: PageData) -> str:
    """Return the rule of the signing policy that refuses a message, else the policy; empty if not visible."""
    if not wallets_visible(data.viewer).filter(address=message.from_addr).exists():
        return ""
    return visible_policy_href(diagnosis, message, data.viewer)


def visible_policy_href(diagnosis: Diagnosis, message: Message, viewer: Principal) -> str:
    """Return the same of a sender whose wallet the viewer sees."""
    if diagnosis.refusal.rule and viewer.may("admin"):
        query = urlencode({"name": diagnosis.refusal.rule})
        return f"{reverse('policy-rule', args=[message.from_addr])}?{query}"
    return reverse("policy", args=[message.from_addr])


def limit_checks(message: Message, diagnosis: Diagnosis, data: PageData) -> Iterable[Check]:
    """Lay out every limit that is set for a message, which one holds, and where it is changed."""
    for limit in message_limits(message, reason=diagnosis.reason, head=data.head):
        value = limit_text(limit)
        tone, word = ("ok", gettext("in force")) if limit.binds else ("idle", gettext("not used"))
        if limit.blocks:
            tone, word = "bad", gettext("blocks")
            value = f"{sentence_text(value)} {gettext(WHERE[limit.level])}"
        what = f"{gettext(LEVELS[limit.level])} {LIMITS[limit.setting]}"
        yield Check(what, value, tone, word, limit_href(limit, message, data))


def limit_text(limit: Limit) -> str:
    """Return a limit's value with its unit."""
    if limit.setting == QUOTA:
        return plural(limit.value, "message")
    return fil_format(limit.value) if limit.setting in IN_FIL else formatting.fee_text(limit.value)


def limit_href(limit: Limit, message: Message, data: PageData) -> str:
    """Return the page on which the viewer changes a limit or what goes before it; empty if it may not."""
    if not data.viewer.may("sign"):
        return ""
    if limit.level == MESSAGE:
        return reverse("message-replace", args=[message.id])
    if limit.level == TENANT:
        return reverse("gas")
    if data.viewer.is_operator and limit.level in OPERATORS:
        page, place = OPERATORS[limit.level]
        return reverse(page) + place
    return "" if limit.level == GUARD else reverse("sender", args=[message.from_addr])


def evidence_checks(diagnosis: Diagnosis) -> Iterable[Check]:
    """Yield the figures behind a finding."""
    for name, value in diagnosis.evidence.items():
        if name in EVIDENCE and value not in (None, ""):
            text = formatting.whole(value) if isinstance(value, int) else shown_text(str(value))
            if isinstance(value, list):
                text = list_text(value) or gettext("nobody: invite a second person")
            yield Check(EVIDENCE[name][:1].upper() + EVIDENCE[name][1:], text, "idle", "")


def message_checks(message: Message, diagnosis: Diagnosis, data: PageData) -> Iterable[Check]:
    """Look at what could hold a message up, in the order in which the chain would refuse."""
    wallet = wallets_visible(data.viewer).filter(address=message.from_addr).first()
    if wallet is not None and not wallet.account:
        yield Check(gettext("Signer is connected"), str(Wait.OFFLINE.label), "idle", gettext("no"))
    elif wallet is None or not wallet.is_served(data.at):
        yield Check(
            gettext("Signer is connected"), gettext("no connected signer holds the key"), "bad", gettext("no")
        )
    elif message.wait == Wait.SIGNER_AWAY and message.tenant is not None:
        say = gettext("{account} is, but it does not serve {tenant} (page Gateway)").format(
            account=wallet.account, tenant=message.tenant.name
        )
        yield Check(gettext("Signer is connected"), say, "bad", gettext("no"))
    else:
        yield Check(gettext("Signer is connected"), wallet.account, "ok", gettext("yes"))
    if diagnosis.reason == Wait.FUNDS and message.error:
        say = shown_text(message.error)
        yield Check(gettext("Balance covers the maximum cost"), say, "bad", gettext("no"))
    elif wallet is not None and wallet.balance is not None:
        yield funds_check(message, wallet)
    yield nonce_check(message, wallet)
    base_fee = None if data.head is None else int(data.head.base_fee)
    if message.gas_fee_cap and base_fee is not None:
        enough = message.gas_fee_cap >= base_fee
        say = gettext("{gas_fee_cap}, base fee {base_fee}").format(
            gas_fee_cap=formatting.fee_text(message.gas_fee_cap), base_fee=formatting.fee_text(base_fee)
        )
        yield Check(
            gettext("Fee cap is above the base fee"),
            say,
            "ok" if enough else "bad",
            gettext("yes") if enough else gettext("no"),
        )
    if message.expire_epoch:
        yield Check(
            gettext("Not expired"),
            gettext("to be sent by epoch {expire_epoch}").format(
                expire_epoch=formatting.whole(message.expire_epoch)
            ),
            "ok",
            gettext("yes"),
        )


def funds_check(message: Message, wallet: Wallet) -> Check:
    """Return whether the sender can pay value and the most that the gas may cost."""
    need = message.value + message.gas_fee_cap * message.gas_limit
    enough = (wallet.balance or 0) >= need
    say = gettext("{balance} FIL available, at most {need} FIL needed").format(
        balance=formatting.fil(wallet.balance), need=formatting.fil(need)
    )
    what = (
        gettext("Balance covers the maximum cost")
        if message.gas_fee_cap
        else gettext("Balance covers its value")
    )
    return Check(what, say, "ok" if enough else "bad", gettext("yes") if enough else gettext("no"))


def nonce_check(message: Message, wallet: Wallet | None) -> Check:
    """Return whether the chain wants this nonce next."""
    if message.nonce is None:
        return Check(
            gettext("Nonce is the next one"),
            gettext("assigned when it is signed"),
            "idle",
            gettext("not yet"),
        )
    if wallet is None or wallet.nonce is None:
        return Check(
            gettext("Nonce is the next one"), formatting.whole(message.nonce), "idle", gettext("unknown")
        )
    ahead = message.nonce - wallet.nonce
    say = gettext("{nonce}; next on chain is {next}").format(
        nonce=formatting.whole(message.nonce), next=formatting.whole(wallet.nonce)
    )
    if ahead <= 0:
        return Check(gettext("Nonce is the next one"), say, "ok", gettext("yes"))
    return Check(
        gettext("Nonce is the next one"),
        say,
        "idle",
        gettext("{ahead} earlier").format(ahead=formatting.whole(ahead)),
    )
