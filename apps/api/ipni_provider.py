"""The advertisements of miners' data as indexers read them: `/ipni-provider/{peer id}/ipni/v1/ad/…`.

All is served as it was signed; nothing is signed here.  Source: ipni/specs IPNI_HTTP_PROVIDER, go-libipni
dagsync/ipnisync.
"""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apps.api.callers import request_source
from apps.core import clock
from apps.market.selectors.discovery import ad_body, chain_of_peer
from apps.market.services.advertisements import ChunkUnread, chunk_read, fetch_note
from apps.users.services.rate_limit_buckets import address_request_count
from poolsite.filecoin.cids import BadCid, cid_parse

A_SECOND: Final = 100
"""Requests of one network address."""
UNREAD_AGAIN_S: Final = 300
"""After which indexers request again what cannot be read: a disk comes back, or the index is made anew."""
FOREVER: Final = "public, max-age=29030400, immutable"
HEAD: Final = "head"


@require_safe
def advertisement(request: HttpRequest, peer_id: str, name: str) -> HttpResponse:
    """Return the signed head of a chain, an advertisement, or a chunk of its multihashes."""
    source = request_source(request)
    usage = address_request_count("ipni", address=source, capacity=A_SECOND, reset_us=1_000_000)
    if usage is not None and usage.is_over:
        return _refusal(429, "too many requests", **{"Retry-After": "1"})
    chain = chain_of_peer(peer_id) if peer_id.isalnum() else None  # the database takes no zero byte
    if chain is None:
        return _refusal(404, "no such provider")
    cid, hashes = "", 0
    if name == HEAD:
        if chain.head_body is None:
            return HttpResponse(status=204, headers={"Cache-Control": "no-cache"})
        answer = _answer(bytes(chain.head_body), "application/json", "no-cache")
    else:
        try:
            cid = str(cid_parse(name))
        except BadCid:
            return _refusal(400, "not a cid")
        try:
            chunk = None if (body := ad_body(chain, cid)) is not None else chunk_read(chain, cid=cid)
        except ChunkUnread:  # not 404: an indexer would never read that advertisement again
            return _refusal(503, "not readable now", **{"Retry-After": str(UNREAD_AGAIN_S)})
        if body is not None:
            answer = _answer(body, "application/json", FOREVER, ETag=f'"{cid}"')
        elif chunk is not None:
            body, hashes = chunk
            answer, cid = _answer(body, "application/cbor", FOREVER, ETag=f'"{cid}"'), ""
        else:
            return _refusal(404, "cid not found")
    agent = request.headers.get("User-Agent", "")
    fetch_note(chain, address=source, agent=agent, cid=cid, hashes=hashes, now=clock.now())
    return answer


def _answer(body: bytes, kind: str, caching: str, **headers: str) -> HttpResponse:
    return HttpResponse(body, content_type=kind, headers={"Cache-Control": caching, **headers})


def _refusal(status: int, reason: str, **headers: str) -> HttpResponse:
    return HttpResponse(f"{reason}\n", status=status, headers=headers, content_type="text/plain")
