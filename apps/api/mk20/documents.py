"""Proposals of market 2.0 as JSON: what is wrong with one in Curio's words, or what it asks for.

Source: filecoin-project/curio market/mk20/{types,utils,ddo_v1,retrieval_v1}.go.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final
from uuid import UUID

from apps.core.errors import BadValue
from apps.market.errors import DealRefused, RefusalKind
from apps.market.rules import HEADERS_MAX, Place, Proposal, ulid_decode
from apps.market.states import DealDoor, DealSource
from apps.pieces.data.sources import headers_check, url_check
from apps.pieces.selectors import PLACE_MAX
from poolsite.filecoin.address import BadAddress, address_format, address_parse
from poolsite.filecoin.cids import BadCid, cid_parse
from poolsite.filecoin.piece_cids import SizedPiece, is_sized_cid, sized_cid_read

URLS_MAX: Final = 10
NOBODY: Final = ("", "<empty>")
"""How Go writes an address that is not set."""
SOURCES: Final = {
    "source_http": DealSource.HTTP,
    "source_http_put": DealSource.PUT,
    "source_offline": DealSource.OFFLINE,
}
EPOCH_MAX: Final = 1 << 53


def ulid_read(text: str) -> UUID:
    """Return the 128 bits of a ULID.  Raises DealRefused."""
    try:
        return ulid_decode(text)
    except ValueError:
        raise DealRefused("invalid id in url") from None


def proposal_read(body: Any, *, client: str) -> Proposal:
    """Return what a signed proposal of a client asks for.  Raises DealRefused."""
    document = _object(body, "deal")
    key = ulid_read(_text(document, "identifier"))
    named = _text(document, "client")
    if not named:
        raise DealRefused("client is empty")
    if _address(named, "client") != client:
        raise DealRefused("client in deal does not match client in auth header")
    products = _object(document.get("products") or {}, "products")
    ddo, retrieval = _products_read(products)
    if document.get("data") is None:
        raise DealRefused("Data Source must be defined for a DDO deal")
    data = _object(document["data"], "data")
    piece, source, places = _data_read(data)
    is_indexed = bool(retrieval.get("indexing"))
    if data["format"].get("raw") is not None and is_indexed:
        raise DealRefused("Raw bytes deal cannot be indexed")
    if ddo.get("market_address"):
        raise DealRefused("provider does not work with this market")
    return Proposal(
        uuid=key,
        door=DealDoor.MK20,
        client=client,
        provider=_text(ddo, "provider"),
        piece=piece,
        start_epoch=_number(ddo, "start_epoch"),
        duration=_number(ddo, "duration") or 0,
        allocation=_number(ddo, "allocation_id"),
        source=source,
        places=places,
        is_indexed=is_indexed,
        is_announced=bool(retrieval.get("announce_payload")),
        digest=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
    )


def _products_read(products: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the storage and the retrieval that are asked for."""
    if products.get("pdp_v1") is not None:
        raise _product("product pdp_v1 is not supported by the provider", RefusalKind.UNSUPPORTED_PRODUCT)
    if products.get("ddo_v1") is None:
        raise _product("no products defined")
    ddo = _object(products["ddo_v1"], "ddo_v1")
    if not ddo.get("provider"):
        raise _product("provider address is not set")
    start = _number(ddo, "start_epoch")
    if start is not None and start <= 0:
        raise _product("start epoch cannot be negative")
    if ddo.get("allocation_id") is not None and not _number(ddo, "allocation_id"):
        raise _product("incorrect allocation id")
    if (ddo.get("notification_address") or "") not in NOBODY or ddo.get("notification_payload"):
        raise _product("notifications are not supported by the provider")
    if products.get("retrieval_v1") is None:
        raise _product("retrieval v1 is required for ddo v1")
    retrieval = _object(products["retrieval_v1"], "retrieval_v1")
    if retrieval.get("announce_piece"):
        raise _product("announce piece is not supported for ddo v1")
    if retrieval.get("announce_payload") and not retrieval.get("indexing"):
        raise _product("deal cannot be announced to IPNI without indexing")
    return ddo, retrieval


def _product(reason: str, kind: RefusalKind = RefusalKind.BAD_PRODUCT) -> DealRefused:
    return DealRefused(f"products validation failed: {reason}", kind=kind)


def _data_read(data: dict[str, Any]) -> tuple[SizedPiece, str, tuple[Place, ...]]:
    """Return the piece, how its bytes come, and from which URLs."""
    piece = _piece_read(data.get("piece_cid"))
    named = [name for name in (*SOURCES, "source_aggregate") if data.get(name) is not None]
    if not named:
        raise DealRefused("no source defined for data source")
    if len(named) > 1:
        raise DealRefused("multiple sources defined for data source")
    form = _object(data.get("format") or {}, "format")
    formats = [name for name in ("car", "aggregate", "raw") if form.get(name) is not None]
    if not formats:
        raise DealRefused("no format defined")
    if len(formats) > 1:
        raise DealRefused("multiple formats defined")
    if formats == ["aggregate"]:
        raise DealRefused("aggregate type not supported", kind=RefusalKind.BAD_SOURCE)
    if named == ["source_aggregate"]:
        raise DealRefused(
            "data source aggregate is not supported by the provider", kind=RefusalKind.UNSUPPORTED_SOURCE
        )
    source = SOURCES[named[0]]
    return piece, source, _places_read(data[named[0]]) if source == DealSource.HTTP else ()


def _piece_read(value: Any) -> SizedPiece:
    text = value.get("/") if isinstance(value, dict) else None
    if not isinstance(text, str) or not text:
        raise DealRefused("piece cid is not defined")
    try:
        cid = cid_parse(text)
        if not is_sized_cid(cid):
            raise DealRefused("piece cid is not raw")
        piece = sized_cid_read(cid)
    except BadCid as error:
        raise DealRefused(f"invalid piece cid: {error}") from None
    if not piece.payload_size:
        raise DealRefused("payload size is 0")
    if piece.padded_size > PLACE_MAX:
        raise DealRefused("Deal size is larger than the miner's sector size")
    return piece


def _places_read(source: Any) -> tuple[Place, ...]:
    """Return the URLs in the order of trying: by priority, those for the case that others fail last."""
    urls = _object(source, "source_http").get("urls")
    if not isinstance(urls, list) or not urls:
        raise DealRefused("no urls defined", kind=RefusalKind.BAD_SOURCE)
    if len(urls) > URLS_MAX:
        raise DealRefused(f"maximum {URLS_MAX} URLs are supported per piece", kind=RefusalKind.BAD_SOURCE)
    found = []
    for at, one in enumerate(urls):
        row = _object(one, "url")
        headers = _headers_read(row.get("headers"))
        url = _text(row, "url")
        try:
            url_check(url)
            headers_check(headers)
        except BadValue as error:
            raise DealRefused(f"invalid url: {error.reason}") from None
        order = (bool(row.get("fallback")), _number(row, "priority", least=-EPOCH_MAX) or 0, at)
        found.append((order, Place(url, headers)))
    return tuple(place for _, place in sorted(found, key=lambda pair: pair[0]))


def _headers_read(value: Any) -> tuple[tuple[str, str], ...]:
    headers = _object(value or {}, "headers")
    if len(headers) > HEADERS_MAX:
        raise DealRefused(
            f"maximum {HEADERS_MAX} headers are supported per piece", kind=RefusalKind.BAD_SOURCE
        )
    found = []
    for name, values in headers.items():
        if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
            raise DealRefused("headers must be lists of strings")
        found += [(name, one) for one in values]
    return tuple(found)


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DealRefused(f"json: cannot unmarshal {name}: must be an object")
    return value


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DealRefused(f"json: cannot unmarshal {name}: must be a string")
    return value


def _number(row: dict[str, Any], name: str, *, least: int = 0) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= EPOCH_MAX:
        raise DealRefused(f"json: cannot unmarshal {name}: must be a number from {least} to {EPOCH_MAX}")
    return value


def _address(text: str, name: str) -> str:
    try:
        return address_format(address_parse(text))
    except BadAddress as error:
        raise DealRefused(f"{name} is not an address: {error}") from None
