"""Where damocles-workers fetch and bring pieces: `/piecestore/{piece_cid}`, as damocles-manager has it.

A worker asks there without a token, and gives its `piece_token` to the address that it is sent to.  So this
tells everybody the same, and who may have the bytes is asked there.  What it brings comes without a token,
too: it is known by where it is (`address_tokens`).
Source: damocles-worker vc-processors/src/builtin/processors/piece/fetcher/http.rs,
src/sealing/sealing_thread/planner/unseal.rs.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from rest_framework.request import Request
from rest_framework.response import Response

from apps.api.v1.views import PoolView
from apps.core.streams import STREAM_MAX_BYTES
from apps.damocles.services.unsealing import unsealed_piece_store
from poolsite.filecoin.cids import BadCid, cid_parse


class PieceBrought(PoolView):
    """A piece that a damocles-worker has unsealed, and that it was told to bring."""

    body_max_bytes = STREAM_MAX_BYTES
    streams_body = True
    perms = {**PoolView.perms, "PUT": "write"}
    scopes = ("sealer",)
    filters = ()
    schema = None

    def put(self, request: Request, cid: str) -> Response:
        """Store the bytes, if they are those that were asked for."""
        unsealed_piece_store(self.principal, cid=cid, source=request._request)
        return Response(status=204)


@csrf_exempt
@require_http_methods(["GET", "HEAD", "PUT"])
def piece_store(request: HttpRequest, name: str) -> HttpResponse:
    """Send a worker to the bytes of a piece, whose name may end in .car, or store those that it brings."""
    cid = name.removesuffix(".car")
    try:
        cid_parse(cid)
    except BadCid as bad:
        return HttpResponse(f"cast {cid} to cid: {bad}", status=400, content_type="text/plain")
    if request.method == "PUT":
        return PieceBrought.as_view()(request, cid=cid)
    return HttpResponseRedirect(reverse("v1-piece-kept", args=[cid]))
