"""Where damocles-workers fetch pieces: `/piecestore/{piece_cid}`, as damocles-manager has it.

A worker asks there without a token, and gives its `piece_token` to the address that it is sent to.  So this
tells everybody the same, and who may have the bytes is asked there.
Source: damocles-worker vc-processors/src/builtin/processors/piece/fetcher/http.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from poolsite.filecoin.cids import BadCid, cid_parse

if TYPE_CHECKING:
    from django.http import HttpRequest


@require_safe
def piece_redirect(_request: HttpRequest, name: str) -> HttpResponse:
    """Send a worker to the bytes of a piece, whose name may end in .car."""
    cid = name.removesuffix(".car")
    try:
        cid_parse(cid)
    except BadCid as bad:
        return HttpResponse(f"cast {cid} to cid: {bad}", status=400, content_type="text/plain")
    return HttpResponseRedirect(reverse("v1-piece-kept", args=[cid]))
