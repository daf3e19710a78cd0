"""Offline signing: what waits for keys that no signer holds, exports, and the signatures that come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue, DomainError
from apps.core.formatting import plural
from apps.dashboard.forms import PageForm
from apps.dashboard.layout import page_render
from apps.dashboard.notices import notice_leave
from apps.dashboard.number_fields import Amount
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.miners.addresses import head_required
from apps.dashboard.pages.offline.rows import left_text, may_name, may_sign, offline_cards, offline_verdict
from apps.dashboard.reauthentication import reauthenticate_first
from apps.dashboard.refusals import refusal_text
from apps.dashboard.sessions import sign_in_required
from apps.dashboard.text_fields import MultiChoice, Text
from apps.messages.rules.offline_files import OfflineSignature, signatures_read
from apps.messages.services.offline import Imported, messages_export, signatures_import
from apps.users.rules.principals import Principal

FILE_MAX: Final = 2 << 20
"""Bytes of all files with signatures that are sent at once."""


class ExportForm(PageForm):
    """Which messages get nonces, and how much they may cost."""

    ids = MultiChoice()
    gas_fee_cap = Amount(is_fee=True)


class ImportForm(PageForm):
    """Signatures as they were pasted; files come beside it."""

    text = Text()


@require_safe
@sign_in_required
def offline(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Show what waits for an export, and for a signature."""
    return offline_page(request, viewer)


def offline_page(
    request: HttpRequest,
    viewer: Principal,
    *,
    wrong: str = "",
    found: Imported | None = None,
    typed: str = "",
    cap: str = "",
) -> HttpResponse:
    """Render the page; `wrong` is what was refused a moment ago, `found` what became of signatures."""
    data = PageData(viewer)
    cards = offline_cards(data)
    is_refused = bool(wrong) or (found is not None and bool(found.refused))
    return page_render(
        request,
        "offline/page.html",
        title=_("Offline signing"),
        section="messages",
        data=data,
        status=422 if is_refused else 200,
        verdict=offline_verdict(cards),
        cards=cards,
        may_sign=may_sign(viewer),
        may_name=may_name(viewer),
        wrong=wrong,
        imported=found.rows if found is not None else (),
        refused=found.refused if found is not None else (),
        typed=typed,
        cap=cap,
    )


@require_POST
@sign_in_required
def export(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Assign nonces to the ticked messages; the next page has them as a file and as QR codes."""
    if not may_sign(viewer):
        raise Http404
    if (held := reauthenticate_first(request, viewer)) is not None:
        return held
    form = ExportForm.of(request)
    if form.is_valid():
        with form.refusals():
            if not form.cleaned_data["ids"]:
                raise BadValue(gettext("tick the messages to export"))
            done = messages_export(
                principal=viewer,
                address=address,
                ids=form.cleaned_data["ids"],
                gas_fee_cap=form.cleaned_data["gas_fee_cap"],
                client=chain_client(),
                head=head_required(PageData(viewer)),
                now=clock.now(),
            )
            if done.rows:
                if done.left:
                    text = gettext("Not exported: {reasons}").format(reasons=left_text(done.left))
                    notice_leave(request, text, tone="warn")
                return redirect("offline-sign", address)
            raise BadValue(left_text(done.left))
    return offline_page(request, viewer, wrong=form.why, cap=form.typed["gas_fee_cap"])


@require_POST
@sign_in_required
def signatures(request: HttpRequest, viewer: Principal) -> HttpResponse:
    """Import pasted signatures and those of files; each valid one's message is published."""
    if not may_sign(viewer):
        raise Http404
    form = ImportForm.of(request)
    if not form.is_valid():
        return offline_page(request, viewer, wrong=form.why, typed=form.typed["text"])
    try:
        given = [*_pasted(form.cleaned_data["text"]), *_uploaded(request)]
        if not given:
            raise BadValue(gettext("paste signatures, or choose a file"), field="messages")
        found = signatures_import(principal=viewer, signatures=given, now=clock.now())
    except DomainError as refusal:
        return offline_page(request, viewer, wrong=refusal_text(refusal), typed=form.cleaned_data["text"])
    if found.refused:
        return offline_page(request, viewer, found=found, typed=form.cleaned_data["text"])
    notice_leave(
        request,
        gettext("{messages} signed, and handed to the nodes.").format(
            messages=plural(len(found.rows), "message")
        ),
    )
    return redirect("offline")


def _pasted(text: str) -> Sequence[OfflineSignature]:
    return signatures_read(text) if text else ()


def _uploaded(request: HttpRequest) -> list[OfflineSignature]:
    """Return the signatures in the files of a form.  Raises BadValue naming the file."""
    files = request.FILES.getlist("files")
    if sum(file.size or 0 for file in files) > FILE_MAX:
        raise BadValue(gettext("the files have more than {most} MiB").format(most=FILE_MAX >> 20))
    found: list[OfflineSignature] = []
    for file in files:
        try:
            found += signatures_read(file.read().decode())
        except UnicodeDecodeError:
            raise BadValue(gettext("{file} is no text").format(file=str(file.name)[:100])) from None
        except BadValue as refusal:
            reason = gettext("{file}: {reason}").format(
                file=str(file.name)[:100], reason=refusal_text(refusal)
            )
            raise BadValue(reason, field="messages") from None
    return found


urlpatterns: Final = [
    path("offline/", offline, name="offline"),
    path("offline/signatures/", signatures, name="offline-signatures"),
    path("offline/<str:address>/export/", export, name="offline-export"),
]
