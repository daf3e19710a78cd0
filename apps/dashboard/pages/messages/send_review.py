"""What is reviewed before a message is sent: what it does, costs, and what would keep it from landing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.chain.errors import NodeRefused, NodeUnavailable
from apps.chain.node.client import chain_client
from apps.chain.selectors.heads import head_current
from apps.core import formatting
from apps.core.addresses import address_both
from apps.core.errors import BadValue
from apps.core.languages import colon_text, list_text
from apps.core.reasons import shown_text
from apps.dashboard.confirm_page import ConfirmPage
from apps.dashboard.pages.messages.call_params import Call
from apps.dashboard.pages.messages.facts import fil_shown, params_text
from apps.dashboard.pickers import chosen_label
from apps.dashboard.refusals import refusal_text
from apps.messages.rules.causes import signer_words
from apps.messages.rules.push_items import PushItem
from apps.messages.selectors.approvals import approvers_of
from apps.messages.services.dry_run import DryRun, message_approval_read, message_dry_run
from apps.messages.services.validate import message_validate
from apps.users.rules.principals import Principal
from apps.wallets.selectors import wallets_sending
from apps.wallets.services.policies import SignerVerdict, signer_verdict_read
from poolsite.filecoin.actors.decode import method_name, params_display
from poolsite.filecoin.actors.exitcodes import exit_code_text
from poolsite.filecoin.amounts import fil_format
from poolsite.filecoin.message import METHOD_SEND

if TYPE_CHECKING:
    from apps.wallets.models import Wallet

Fact = tuple[str, ...]
"""Name and value, and the page on which it is changed."""
LANDED: Final = _("A transfer cannot be undone once it has landed.")
PARAM_MAX: Final = 400
"""Characters of a parameter that the review shows."""


def send_review(
    viewer: Principal, item: PushItem, *, call: Call, typed: Mapping[str, str], back: str
) -> ConfirmPage:
    """Return the question before a message is sent.

    Raises DomainError with the field to blame, also for what the chain would refuse.
    """
    wallet = wallets_sending(viewer).filter(address=item.from_).first()
    if wallet is None:
        raise BadValue(gettext("choose one of the wallets"), field="from")
    whose = wallet.tenant.name
    is_own = wallet.tenant_id == viewer.tenant_id
    text = gettext("The key belongs to tenant {whose}: the transfer spends that tenant's FIL.")
    is_transfer = call.number == METHOD_SEND
    title = _("Review the transfer") if is_transfer else _("Review the message")
    what, final = gettext("Send {value}").format(value=fil_format(item.value)), LANDED
    if not is_transfer:
        final = _("What a message does cannot be undone once it has landed.")
        what = gettext("Send {method}").format(method=method_name(call.kind, call.number))
    return ConfirmPage(
        title=title if is_own else gettext("Send from a key of {whose}").format(whose=whose),
        text=final if is_own else text.format(whose=whose),
        label=what if is_own else gettext("{what} from {whose}").format(what=what, whose=whose),
        back=back,
        page=_("Send"),
        section="messages",
        hidden_fields=tuple(typed.items()),
        is_danger=False,
        facts=(
            (gettext("From"), wallet_text(wallet)),
            (gettext("To"), receiver_text(viewer, str(item.to))),
            *call_facts(item, call),
            (gettext("Value"), fil_format(item.value)),
            *outcome_facts(viewer, item, call),
            approval_fact(viewer, item),
        ),
    )


def wallet_text(wallet: Wallet) -> str:
    """Return a wallet with its address in full and its balance."""
    named = f"{wallet.label} {wallet.address}".strip()
    return list_text((named, f"{formatting.fil(wallet.balance)} FIL"))


def receiver_text(viewer: Principal, address: str) -> str:
    """Describe the receiver: one of the viewer's wallets by its name."""
    label = chosen_label(viewer, "wallet", address)
    return f"{address} ({label})" if label else address_both(address)


def call_facts(item: PushItem, call: Call) -> Iterable[Fact]:
    """Yield the method and its parameters as the actor reads them; nothing of a transfer."""
    if call.number == METHOD_SEND and not item.params:
        return
    yield gettext("Method"), f"{call.kind} {method_name(call.kind, call.number)} ({call.number})".strip()
    shown = fil_shown(call.kind, call.number, params_display(call.kind, call.number, item.params))
    if isinstance(shown, dict):
        for name, value in shown.items():
            yield name, params_text(value)[:PARAM_MAX] or gettext("none")
    elif item.params:
        yield gettext("Parameters"), params_text(shown)[:PARAM_MAX]


def outcome_facts(viewer: Principal, item: PushItem, call: Call) -> Iterable[Fact]:
    """Yield what the node says of it, what it costs, what is left, and what its signer would say.

    Raises BadValue if the sender cannot pay, and what a push raises.
    """
    head = head_current()
    unknown = gettext("unknown: {reason}")
    if head is None:
        yield gettext("Gas"), gettext("unknown: no node has answered yet")
        return
    try:
        run = message_dry_run(item, principal=viewer, client=chain_client(), head=head)
    except (NodeUnavailable, NodeRefused) as refusal:
        yield gettext("Gas"), unknown.format(reason=refusal_text(refusal))
        return
    if run.is_short and not run.gas_limit:
        raise BadValue(
            gettext("the sender has {balance}, less than this transfer needs").format(
                balance=fil_format(run.balance)
            ),
            field="value",
        )
    yield gettext("Trial at the node"), trial_text(run, kind=call.kind)
    yield from money_facts(run, item)
    yield signer_fact(viewer, run)


def trial_text(run: DryRun, *, kind: str) -> str:
    """Return what became of it at the node, where nothing is kept."""
    if run.exit_code > 0:
        meaning = gettext(exit_code_text(run.exit_code, actor=kind))
        failed = gettext("fails with exit code {exit_code}: {meaning}").format(
            exit_code=run.exit_code, meaning=meaning
        )
        return colon_text(failed, run.error) if run.error else failed
    if not run.gas_limit:
        return gettext("fails: {error}").format(error=run.error)
    return gettext("succeeds, with {gas_used} gas").format(gas_used=formatting.whole(run.gas_used))


def money_facts(run: DryRun, item: PushItem) -> Iterable[Fact]:
    """Yield what it costs and what it leaves of the balance, less everything that is on its way."""
    sender = reverse("sender", args=[str(run.message.from_)])
    if run.gas_limit:
        yield (
            gettext("Gas"),
            gettext("{cost_expected} expected, {cost_max} at most").format(
                cost_expected=formatting.amount_text(run.cost_expected - item.value),
                cost_max=formatting.amount_text(run.cost_max - item.value),
            ),
            sender,
        )
        yield (
            gettext("Sender pays"),
            gettext("{cost_max} at most").format(cost_max=formatting.amount_text(run.cost_max)),
        )
    terms = gettext("{balance}, of which messages in flight may take {flight}, those that wait {waiting}")
    yield (
        gettext("Balance"),
        terms.format(
            balance=formatting.amount_text(run.balance),
            flight=formatting.amount_text(run.in_flight),
            waiting=formatting.amount_text(run.waiting),
        ),
    )
    fund = f"{reverse('message-compose')}?{urlencode({'to': str(run.message.from_)})}"
    left = run.balance_after
    label = gettext("Balance after this and all messages in progress")
    if left < 0:
        short = gettext("{amount} short: this or another one would wait for funds").format(
            amount=formatting.amount_text(-left)
        )
        yield label, short, fund
    else:
        yield label, gettext("{balance_after} at least").format(balance_after=formatting.amount_text(left))


def signer_fact(viewer: Principal, run: DryRun) -> Fact:
    """Return what the signer's policy decides of it, and where that is changed."""
    address = str(run.message.from_)
    verdict = signer_verdict_read(viewer, address=address, message=run.message)
    return gettext("Signer"), signer_text(verdict, run), _policy_href(viewer, address, verdict)


def signer_text(verdict: SignerVerdict, run: DryRun) -> str:
    """Return what a signer decides in words."""
    if verdict.is_allowed:
        return gettext("signs it by rule “{rule}”").format(rule=verdict.rule)
    if verdict.refusal:
        why = shown_text(signer_words(verdict.refusal, method=int(run.message.method)).text)
        return gettext("refuses it, and the message waits: {why}").format(why=why)
    if verdict.silence:
        return gettext("could not be asked, and the message waits for it: {reason}").format(
            reason=verdict.silence
        )
    return gettext("of another tenant or another make: its policy is not shown")


def _policy_href(viewer: Principal, address: str, verdict: SignerVerdict) -> str:
    if not (verdict.is_allowed or verdict.refusal) or not viewer.may("admin"):
        return ""
    rule = signer_words(verdict.refusal, method=METHOD_SEND).rule
    if rule:
        return f"{reverse('policy-rule', args=[address])}?{urlencode({'name': rule})}"
    return reverse("policy", args=[address])


def approval_fact(viewer: Principal, item: PushItem) -> Fact:
    """Return whether it waits for a second person, by which rule, and who may approve it."""
    href = reverse("approvals") if viewer.may("admin") else ""
    rule = message_approval_read(item, principal=viewer)
    if not rule:
        return gettext("Approval"), gettext("not needed: no rule names it"), href
    names = approvers_of(message_validate(item, principal=viewer))
    text = gettext("waits for a second person: {rule}; may be approved by: {names}").format(
        rule=shown_text(rule), names=list_text(names) or gettext("nobody: invite a second person")
    )
    return gettext("Approval"), text, href
