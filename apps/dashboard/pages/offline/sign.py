"""Exported messages on their way to the key: as a file, as QR codes, and as commands for lotus."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

import segno
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from apps.chain.selectors.network import network_current
from apps.core.errors import NotFound
from apps.dashboard.layout import page_render
from apps.dashboard.page_data import PageData
from apps.dashboard.pages.offline.rows import may_sign, offline_row, sign_link
from apps.dashboard.sessions import sign_in_required
from apps.messages.rules.offline_files import unsigned_file
from apps.messages.selectors.offline import messages_exported, offline_key_require
from apps.messages.services.offline import exports_record
from apps.users.rules.principals import Principal
from poolsite.wire.offline_files import frames_make

if TYPE_CHECKING:
    from apps.messages.models import Message

CODE_DIGITS: Final = 4
FRAMES_MAX: Final = 60
"""QR codes of one file; nobody scans more by hand."""


def exported(request: HttpRequest, viewer: Principal, address: str) -> list[Message]:
    """Return the exported messages of a key, or the one that the address names.  Raises Http404."""
    if not may_sign(viewer):
        raise Http404
    try:
        offline_key_require(viewer, address)
    except NotFound:
        raise Http404 from None
    rows = messages_exported(viewer, address)
    if named := request.GET.get("message"):
        rows = rows.filter(pk=named)
    found = list(rows)
    if not found:
        raise Http404
    return found


def document_of(rows: list[Message]) -> dict[str, Any]:
    """Return the file."""
    return unsigned_file(rows, network=network_current().name)


def file_name(rows: list[Message]) -> str:
    """Return the name under which browsers save the file."""
    return f"unsigned-{rows[0].from_addr[:12]}-{rows[0].nonce}.json"


def lotus_command(row: Message) -> str:
    """Return how lotus signs a message."""
    return " ".join(("lotus", "wallet", "sign", row.from_addr, row.chain_message().cid.data.hex()))


def code_at(request: HttpRequest, total: int) -> int:
    """Return which code is asked for, from 1.  Raises Http404."""
    at = request.GET.get("code", "1")
    if not (at.isascii() and at.isdigit() and len(at) <= CODE_DIGITS and 1 <= int(at) <= total):
        raise Http404
    return int(at)


@require_safe
@sign_in_required
def sign(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Show how exported messages are signed: the file, one QR code after another, lotus' commands."""
    rows = exported(request, viewer, address)
    data, document = PageData(viewer), document_of(rows)
    frames = frames_make(document)
    command = " ".join(("python", "-m", "workers", "signer", "sign-file", file_name(rows)))
    named = {"message": request.GET["message"]} if request.GET.get("message") else {}
    at = code_at(request, len(frames))
    if at == 1:
        exports_record(rows, by=viewer)

    return page_render(
        request,
        "offline/sign.html",
        title=_("Sign offline"),
        section="messages",
        data=data,
        address=address,
        rows=[(offline_row(row, data), lotus_command(row)) for row in rows],
        signer=command,
        ledger=f"{command} --ledger",
        at=at,
        total=len(frames),
        is_scannable=len(frames) <= FRAMES_MAX,
        alt=gettext("QR code {at} of {total}").format(at=at, total=len(frames)),
        code=sign_link("offline-code", address, code=at, **named),
        earlier=sign_link("offline-sign", address, code=at - 1, **named) if at > 1 else "",
        later=sign_link("offline-sign", address, code=at + 1, **named) if at < len(frames) else "",
        file=sign_link("offline-file", address, **named),
    )


@require_safe
@sign_in_required
def code(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Draw one QR code of the file."""
    frames = frames_make(document_of(exported(request, viewer, address)))
    drawing = io.BytesIO()
    shape = segno.make(frames[code_at(request, len(frames)) - 1], error="l", micro=False)
    shape.save(drawing, kind="svg", omitsize=True, border=4, dark="#000", light="#fff")
    return HttpResponse(
        drawing.getvalue(), content_type="image/svg+xml", headers={"Cache-Control": "no-store"}
    )


@require_safe
@sign_in_required
def file(request: HttpRequest, viewer: Principal, address: str) -> HttpResponse:
    """Return the file of exported messages."""
    rows = exported(request, viewer, address)
    exports_record(rows, by=viewer)
    headers = {
        "Content-Disposition": f'attachment; filename="{file_name(rows)}"',
        "Cache-Control": "no-store",
    }
    text = json.dumps(document_of(rows), indent=1) + "\n"
    return HttpResponse(text, content_type="application/json", headers=headers)


urlpatterns: Final = [
    path("offline/<str:address>/sign/", sign, name="offline-sign"),
    path("offline/<str:address>/code.svg", code, name="offline-code"),
    path("offline/<str:address>/unsigned.json", file, name="offline-file"),
]
