"""The OpenAPI document of market 2.0, at the addresses where Curio's providers have theirs.

Source: filecoin-project/curio market/mk20/http/http.go InfoRouter, swagger.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from django.urls import URLPattern

from apps.api.mk20 import views
from apps.api.mk20.auth import KEY_TYPES
from apps.api.mk20.documents import EPOCH_MAX, SOURCES, URLS_MAX
from apps.market.rules import HEADERS_MAX, ULID_LETTERS
from apps.market.services.transfers import CHUNK_LEAST, CHUNK_MOST
from apps.market.states import DealSource

Schema = dict[str, Any]

BYTES: Final[Schema] = {"type": "string", "format": "binary"}
TEXT: Final[Schema] = {"type": "string"}
EPOCH: Final[Schema] = {"type": "integer", "format": "int64", "minimum": 0, "maximum": EPOCH_MAX}
COUNT: Final[Schema] = {"type": "integer", "format": "int64"}
OPTIONAL_EPOCH: Final[Schema] = {**EPOCH, "nullable": True}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


ULID: Final[Schema] = {
    "type": "string",
    "pattern": f"^[0-7][{ULID_LETTERS}]{{25}}$",
    "example": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
}
URL: Final[Schema] = _object(
    ("url",),
    url={**TEXT, "description": "http or https, at a public host"},
    headers={
        "type": "object",
        "nullable": True,
        "additionalProperties": _list(TEXT),
        "maxProperties": HEADERS_MAX,
        "description": "sent to the host of the URL, and kept encrypted",
    },
    priority={**COUNT, "description": "the lowest is tried first"},
    fallback={"type": "boolean", "description": "tried when all others have failed"},
)
DATA: Final[Schema] = _object(
    ("piece_cid", "format"),
    piece_cid={
        **_object(("/",), **{"/": TEXT}),
        "description": "piece CID of version 2, which holds the size, as DAG-JSON",
        "example": {"/": "bafkzcibfxx3meais3xzh6qn56y6hiasmrufhegoweu3o5ccofs74nfdfr4yn76pqz4pq"},
    },
    format={
        **_object(car=_object(), raw=_object()),
        "minProperties": 1,
        "description": "exactly one; raw data cannot be indexed",
    },
    **{
        name: _object(("urls",), urls=_list(_ref("Url"), minItems=1, maxItems=URLS_MAX))
        if source == DealSource.HTTP
        else _object()
        for name, source in SOURCES.items()
    },
) | {"description": f"with exactly one of {', '.join(SOURCES)}"}
STORAGE: Final[Schema] = _object(
    ("provider", "duration"),
    provider={**TEXT, "description": "address of the miner", "example": "f01000"},
    start_epoch={**OPTIONAL_EPOCH, "minimum": 1},
    duration={**EPOCH, "description": "epochs for which the data are kept at least"},
    allocation_id={
        **OPTIONAL_EPOCH,
        "minimum": 1,
        "description": "null: plain data",
    },
)
RETRIEVAL: Final[Schema] = _object(
    indexing={"type": "boolean"},
    announce_payload={"type": "boolean", "description": "advertise its blocks to indexers; needs indexing"},
)
SCHEMAS: Final[dict[str, Schema]] = {
    "Deal": _object(
        ("identifier", "client", "data", "products"),
        identifier=ULID,
        client={**TEXT, "description": "address of the key that signs the request"},
        data=_ref("Data"),
        products=_object(("ddo_v1", "retrieval_v1"), ddo_v1=_ref("Storage"), retrieval_v1=_ref("Retrieval")),
    ),
    "Data": DATA,
    "Url": URL,
    "Storage": STORAGE,
    "Retrieval": RETRIEVAL,
    "Status": _object(
        ("ddo_v1",),
        ddo_v1=_object(
            ("status", "errorMsg"),
            status={**TEXT, "enum": sorted({views.UPLOADING, *views.STATUS_WORDS.values()})},
            errorMsg={**TEXT, "description": "why it failed"},
        ),
    ),
    "UploadBegin": _object(
        ("raw_size", "chunk_size"),
        raw_size={**COUNT, "minimum": 1, "description": "bytes of the deal"},
        chunk_size={
            **COUNT,
            "minimum": CHUNK_LEAST,
            "maximum": CHUNK_MOST,
            "description": "bytes of each chunk but the last; a power of 2",
        },
    ),
    "Upload": _object(
        ("total_chunks", "uploaded", "missing", "uploaded_chunks", "missing_chunks"),
        total_chunks=COUNT,
        uploaded=COUNT,
        missing=COUNT,
        uploaded_chunks=_list(COUNT),
        missing_chunks=_list(COUNT),
    ),
}
BODIES: Final[dict[tuple[str, str], Schema]] = {
    ("mk20-deal", "POST"): _ref("Deal"),
    ("mk20-update", "POST"): _ref("Deal"),
    ("mk20-upload", "PUT"): BYTES,
    ("mk20-upload", "POST"): _ref("Deal"),
    ("mk20-uploads", "POST"): _ref("UploadBegin"),
    ("mk20-chunk", "PUT"): BYTES,
    ("mk20-uploads-finalize", "POST"): _ref("Deal"),
}
"""By route and method."""
BODY_OPTIONAL: Final = (("mk20-upload", "POST"), ("mk20-uploads-finalize", "POST"))
ANSWERS: Final[dict[tuple[str, str], Schema]] = {
    ("mk20-status", "GET"): _ref("Status"),
    ("mk20-uploads", "GET"): _ref("Upload"),
    ("mk20-products", "GET"): _object(("products",), products=_list({**TEXT, "enum": list(views.PRODUCTS)})),
    ("mk20-sources", "GET"): _object(("sources",), sources=_list({**TEXT, "enum": DealSource.values})),
    ("mk20-contracts", "GET"): _object(("contracts",), contracts=_list(TEXT)),
}
"""JSON that is answered; others answer nothing, or text."""
REASONS: Final = {
    400: "The proposal, or the body, is wrong.",
    401: "The signature is missing or wrong, or the deal is not this client's.",
    404: "There is no such chunk, or the deal awaits no data.",
    409: "It has begun, is here, was cut off, or is being written by another request, or there is no room.",
    413: "There are more bytes than the deal has.",
    422: "The provider does not take data that way.",
    423: "The provider does not offer the product.",
    425: "The product's terms are wrong, the provider is disabled, or the upload has not begun.",
    426: "The provider's rules refuse it.",
    429: "Too many requests, or too many deals wait: try again later.",
    430: "The source of the data is wrong.",
    441: "The duration is too short.",
    503: "Try again later.",
}
UPLOAD_STATUSES: Final = (400, 401, 404, 409, 429, 503)
TERMS_STATUSES: Final = (422, 423, 425, 430)
"""Refusals of a body that is read as a proposal."""
STATUSES: Final[dict[str, tuple[int, ...]]] = {
    "mk20-deal": (*sorted(views.CODES.values()), 503),
    "mk20-status": (400, 401, 429, 503),
    "mk20-update": (400, 401, 429, *TERMS_STATUSES, 503),
    "mk20-upload": (*UPLOAD_STATUSES, 413, *TERMS_STATUSES),
    "mk20-uploads": (*UPLOAD_STATUSES, 425),
    "mk20-chunk": (*UPLOAD_STATUSES, 413),
    "mk20-uploads-finalize": (*UPLOAD_STATUSES, *TERMS_STATUSES),
}
"""By which a route refuses; `/products`, `/sources` and `/contracts` by 401 and 429 alone."""
PARAMETERS: Final[dict[str, Schema]] = {
    "name": {**ULID, "description": "identifier of the deal"},
    "number": {"type": "integer", "minimum": 1, "description": "number of the chunk"},
}
SIGNED: Final = (
    f"`CurioAuth <kind>:<address>:<signature>`. `kind` is one of {', '.join(KEY_TYPES)}; `address` are the "
    "bytes of the client's address in base64; `signature` is that of its key, with its type before it, in "
    "base64. Signed is the SHA-256 of the bytes of the address, the method in capitals, the path without a "
    "query, and the minute as 2026-11-28T21:00:00Z, with nothing between them."
)


def _summary(text: str) -> str:
    return text.strip().partition("\n")[0]


def routes() -> Iterator[tuple[str, str, URLPattern]]:
    """Yield each path as the document writes it, its method, and its route."""
    for route in views.urlpatterns:
        where = "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", str(route.pattern))
        for method in views.METHODS[route.callback]:
            yield where, method, route


def _operation(where: str, method: str, route: URLPattern) -> Schema:
    key = (route.name or "", method)
    answer: Schema = {"description": "Done."}
    if key in ANSWERS:
        answer["content"] = {"application/json": {"schema": ANSWERS[key]}}
    statuses = STATUSES.get(key[0], (401, 429))
    plain = {"text/plain": {"schema": TEXT}}
    found: Schema = {
        "operationId": f"{key[0].removeprefix('mk20-').replace('-', '_')}_{method.lower()}",
        "summary": _summary(route.callback.__doc__ or ""),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]}
            for name in re.findall(r"{(\w+)}", where)
        ],
        "responses": {
            "200": answer,
            **{str(code): {"description": REASONS[code], "content": plain} for code in sorted(statuses)},
        },
    }
    if key in BODIES:
        kind = "application/octet-stream" if BODIES[key] is BYTES else "application/json"
        found["requestBody"] = {
            "required": key not in BODY_OPTIONAL,
            "content": {kind: {"schema": BODIES[key]}},
        }
    return found


@cache
def document_build() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Schema] = {}
    for where, method, route in routes():
        paths.setdefault(where, {})[method.lower()] = _operation(where, method, route)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Market 2.0",
            "version": "1.0.0",
            "description": "Storage deals over HTTP, as Curio's clients make them.",
        },
        "servers": [{"url": "/market/mk20"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "CurioAuth": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": SIGNED,
                }
            },
        },
        "security": [{"CurioAuth": []}],
    }
