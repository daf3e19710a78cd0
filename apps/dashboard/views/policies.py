"""The policy of a wallet's signer: what it allows, what a change would have decided, signed changes, undo."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core.errors import BadValue, DomainError, NotFound
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.rows.cards import Verdict, plural
from apps.dashboard.rows.policies import rule_row
from apps.dashboard.rows.proposals import miners_proposal, transfers_proposal
from apps.dashboard.sessions import sign_in_required
from apps.messages.selectors import message_get, messages_visible
from apps.messages.services.retry import policy_change
from apps.wallets.selectors import wallet_get
from apps.wallets.services.policies import (
    policy_draft,
    policy_read,
    policy_try,
    policy_version,
    signer_of,
)
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import message_from_json
from poolsite.wire.codec import BadWire
from poolsite.wire.policy import OLD_DEFAULTS, PUT, REMOVE, REPLACE, PolicyChange, PolicyEdit, RuleForm

if TYPE_CHECKING:
    from apps.users.principals import Principal
    from apps.wallets.models import Wallet
    from poolsite.filecoin.message import Message
    from poolsite.wire.policy import PolicyState

LISTS: Final = ("keys", "methods", "to", "callers", "sets")
TEXTS: Final = ("value_max", "value_per_day", "fee_max", "fee_per_day", "hours")
MESSAGES_SHOWN: Final = 10
JSON_MAX: Final = 64 * 1024


def wallet_or_404(viewer: Principal, address: str) -> Wallet:
    """Find a wallet; a stranger's is not there."""
    try:
        return wallet_get(viewer, address)
    except NotFound:
        raise Http404 from None


def editor_only(viewer: Principal) -> None:
    """Changing what may be signed is for those who run the tenant."""
    if not viewer.may("admin"):
        raise Http404


def policy_page(
    request: HttpRequest, viewer: Principal, wallet: Wallet, *, name: str, status: int = 200, **more: Any
) -> HttpResponse:
    """Render one of the pages below a wallet's policy."""
    titles = {"policy": "Signing policy", "policy_rule": "Rule", "policy_text": "Policy as text"}
    return page_render(
        request,
        f"wallets/{name}.html",
        title=titles.get(name, "Signing policy"),
        section="wallets",
        page_key="",
        data=PageData(viewer),
        status=status,
        wallet=wallet,
        wallet_name=str(wallet),
        may_edit=viewer.may("admin"),
        **more,
    )


def verdict_of(state: PolicyState) -> Verdict:
    """Return in one sentence what holds and who may change it here."""
    if state.error:
        return Verdict("Nothing is signed:", state.error)
    rules = f"{plural(len(state.rules), 'rule')}, version {state.number}."
    if not state.editors:
        return Verdict(rules, "Its signer takes no changes from here.")
    return Verdict(rules, f"{', '.join(state.editors)} may change it here.")


@require_safe
@sign_in_required
def policy(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """The rules in force, the named sets and the versions."""
    wallet = wallet_or_404(viewer, address)
    try:
        state = policy_read(viewer, address)
    except DomainError as refusal:
        away = Verdict("The policy cannot be shown:", refusal.reason)
        return policy_page(request, viewer, wallet, name="policy", state=None, verdict=away)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy",
        state=state,
        rules=[rule_row(rule, place=place) for place, rule in enumerate(state.rules, 1)],
        verdict=verdict_of(state),
        is_old_default=state.digest in OLD_DEFAULTS,
        proposal=miners_proposal(wallet, state, miners_of(viewer, wallet)),
        transfers=transfers_proposal(wallet, state, signer_of(viewer, address)),
    )


def miners_of(viewer: Principal, wallet: Wallet, *, also: str = "") -> list[str]:
    """Return the addresses of the miners of a wallet's tenant, and of one that the viewer names and sees."""
    rows = [one for one in PageData(viewer).miners if one.address]
    own = wallet.tenant_id
    return [one.address for one in rows if one.tenant_id == own or one.address == also]


@require_safe
@sign_in_required
def version(request: HttpRequest, viewer: Principal, address: str, number: int) -> HttpResponse:
    """One version: who took it, what it changed, its text, and the way back to it."""
    wallet = wallet_or_404(viewer, address)
    try:
        found = policy_version(viewer, address, number)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    return policy_page(request, viewer, wallet, name="policy_version", shown=found, packed=pack(found.text))


def refused(request: HttpRequest, viewer: Principal, wallet: Wallet, refusal: DomainError) -> HttpResponse:
    """Return why the signer was not asked, or what it said."""
    words = Verdict("Failed:", refusal.reason)
    return policy_page(request, viewer, wallet, name="policy", state=None, verdict=words, status=422)


def pack(text: str) -> str:
    """Write a text so that a form does not touch its line ends."""
    return base64.b64encode(text.encode()).decode()


def unpack(packed: str) -> str:
    """Read it.  Raises BadValue."""
    try:
        return base64.b64decode(packed, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadValue("the text cannot be read", field="text") from None


def words(text: str) -> tuple[str, ...]:
    """Split what was typed into a field for several: at commas and line ends."""
    return tuple(one for row in text.splitlines() for part in row.split(",") if (one := part.strip()))


def rule_read(request: HttpRequest) -> RuleForm:
    """Read the form of a rule."""
    lists: dict[str, Any] = {name: words(request.POST.get(name, "")) for name in LISTS}
    texts: dict[str, Any] = {name: request.POST.get(name, "").strip() for name in TEXTS}
    types = tuple(request.POST.getlist("types"))
    return RuleForm(name=request.POST.get("name", "").strip(), types=types, **lists, **texts)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def rule(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """The form of one rule, new or there; a POST shows what it would change."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    was = (request.POST.get("was") or request.GET.get("name") or "")[:200]
    try:
        state = policy_read(viewer, address)
        form, place, error = RuleForm(name="", types=("message",)), len(state.rules) + 1, ""
        for number, one in enumerate(state.rules, 1):
            if one.name == was:
                form, place = one, number
        if request.method == "POST":
            form = rule_read(request)
            typed = request.POST.get("place", "")
            place = int(typed) if typed.isdecimal() and len(typed) < 6 else place
            edit = PolicyEdit(op=PUT, name=was, rule=form, place=place)
            try:
                return review(request, viewer, wallet, edit)
            except DomainError as refusal:
                error = refusal.reason
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_rule",
        status=422 if error else 200,
        form=form,
        was=was,
        place=place,
        state=state,
        error=error,
    )


@require_POST
@sign_in_required
def remove(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show what the policy would be without a rule."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    edit = PolicyEdit(op=REMOVE, name=request.POST.get("name", "")[:200])
    try:
        return review(request, viewer, wallet, edit)
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def text(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """The policy as text; a POST shows what another text would change, also to go back to an old version."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    error, written = "", request.POST.get("written", "").replace("\r\n", "\n")
    try:
        if request.method == "POST":
            written = unpack(request.POST["packed"]) if "packed" in request.POST else written
            try:
                return review(request, viewer, wallet, PolicyEdit(op=REPLACE, text=written))
            except (BadWire, DomainError) as refusal:
                error = refusal.reason
        else:
            written = policy_read(viewer, address).text
    except DomainError as refusal:
        return refused(request, viewer, wallet, refusal)
    status = 422 if error else 200
    return policy_page(
        request, viewer, wallet, name="policy_text", status=status, written=written, error=error
    )


def review(
    request: HttpRequest, viewer: Principal, wallet: Wallet, edit: PolicyEdit, *, error: str = ""
) -> HttpResponse:
    """Show a change before anybody signs it: its text and what it would have decided otherwise."""
    draft = policy_draft(viewer, wallet.address, edit)
    state = policy_read(viewer, wallet.address)
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_review",
        status=422 if error else 200,
        draft=draft,
        state=state,
        packed=pack(draft.text),
        hidden=max(draft.refused + draft.allowed, len(draft.others)) - len(draft.others),
        error=error,
    )


@require_POST
@sign_in_required
def save(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Send a signed change to the signer."""
    wallet = wallet_or_404(viewer, address)
    editor_only(viewer)
    number = request.POST.get("number", "")
    try:
        change = PolicyChange(
            text=unpack(request.POST.get("packed", "")),
            number=int(number) if number.isdecimal() and len(number) < 9 else 0,
            editor=request.POST.get("editor", "")[:200],
            signature=request.POST.get("signature", "")[:200],
        )
        try:
            policy_change(viewer, address, change)
        except DomainError as refusal:
            edit = PolicyEdit(op=REPLACE, text=change.text)
            return review(request, viewer, wallet, edit, error=refusal.reason)
    except (BadWire, DomainError) as refusal:
        return refused(request, viewer, wallet, BadValue(refusal.reason))
    return redirect("policy", address)


def message_read(request: HttpRequest, viewer: Principal) -> Message:
    """Read the message to try: one of ours, or what was pasted.  Raises DomainError."""
    key, pasted = request.POST.get("message", ""), request.POST.get("json", "").strip()
    if not pasted:
        return message_get(viewer, key).chain_message()
    try:
        return message_from_json(json.loads(pasted[:JSON_MAX]))
    except BadField as error:
        raise BadValue(str(error), field="json") from None
    except (ValueError, RecursionError):
        raise BadValue("this is no JSON", field="json") from None


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
def trial(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Ask the policy about a message that is not signed."""
    wallet = wallet_or_404(viewer, address)
    verdict, error = None, ""
    if request.method == "POST":
        try:
            verdict = policy_try(viewer, address, message_read(request, viewer))
        except (BadWire, DomainError) as refusal:
            error = refusal.reason
    rows = messages_visible(viewer).filter(from_addr=wallet.address).order_by("-created_at")
    return policy_page(
        request,
        viewer,
        wallet,
        name="policy_trial",
        status=422 if error else 200,
        messages=list(rows[:MESSAGES_SHOWN]),
        chosen=request.POST.get("message", ""),
        pasted=request.POST.get("json", ""),
        found=verdict,
        error=error,
    )
