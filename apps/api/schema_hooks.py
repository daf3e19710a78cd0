"""What holds for every operation of the OpenAPI document, added once it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

REFUSALS: Final = {
    "4XX": "Refused: `code` is for programs, `message` for people, `field` names the offending input.",
    "503": "A node, a signer or the database is unavailable: try again after `Retry-After` seconds.",
}
TAGS: Final = {
    "alert-channels": "Where findings of the checks are sent.",
    "alerts": "Checks that fail or failed, and who works on them.",
    "allocations": "Clients' data that are to be stored under an allocation of FIL+.",
    "approval-rules": "Which messages wait for a second person.",
    "audit": "Who did what.",
    "auto-rules": "Rules that act by themselves, and what they would do now.",
    "chain": "The pool's nodes and the newest head.",
    "charges": "What the pool charges its tenants, by day.",
    "checks": "What needs attention.",
    "claims": "Verified data in sectors, and until when they count.",
    "clients": "Clients of deals: how these stand, and which miners block or allow them.",
    "consoles": "Machines that run the console.",
    "deals": "What clients proposed to the miners, and how far each deal is.",
    "gas": "Base fee, guards, automatic fee bumps and spending.",
    "host-settings": "Settings that several hosts share.",
    "jobs": "Leased work, as hosts claim and report it.",
    "index": "Who calls, and what there is to read.",
    "join-tokens": "Tokens by which a host joins.",
    "messages": "Messages that the pool sends.",
    "miners": "Miners with their addresses, roles, proofs, money and new sectors.",
    "money": "What each miner earned and spent.",
    "multisigs": "Multisig owners and what waits for their signers.",
    "offline-keys": "Keys that no signer holds, and messages exported to be signed with them.",
    "offline-signatures": "Signatures that were made offline.",
    "pieces": "Clients' data.",
    "planner": "What the farm would seal with other numbers.",
    "proving": "Settings of window proofs.",
    "recovery": "The state after a restored backup.",
    "remote-wallets": "Wallets that the pool connects to.",
    "sealing": "Throughput and what limits it.",
    "sector-changes": "Terminations and extensions.",
    "message-failures": "Stuck and failed messages, grouped by cause.",
    "sector-failures": "Failed sectors, grouped by cause.",
    "sector-records": "What sectors are made of, from other managers.",
    "sectors": "Sectors and what can be done with one.",
    "senders": "Addresses that send, with their queues and fees.",
    "service-levels": "What the pool did for a tenant, by month.",
    "statements": "What a tenant is charged for a month.",
    "signer-approvals": "Accounts that another tenant's signer may serve.",
    "status": "How the pool's components are and were, and what is announced.",
    "store-moves": "Sectors on their way from one store to another.",
    "stores": "Where sector files are kept, checked and moved.",
    "tenant-use": "Hosts, proofs and gas of each tenant.",
    "tenants": "Tenants and their quotas.",
    "tokens": "Tokens for programs.",
    "wallets": "Addresses held by signers, and their signing policies.",
    "workers": "Hosts that seal and prove.",
}
"""What the operations of a resource are about."""
INT32_MAX: Final = 2**31 - 1


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation with its method."""
    for methods in document["paths"].values():
        yield from methods.items()


def schemas_in(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a part of the document."""
    if isinstance(part, dict):
        yield part
        for inner in part.values():
            yield from schemas_in(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from schemas_in(inner)


def refusals_add(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return every operation the answers that any of them may have."""
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for _method, operation in operations_of(result):
        for status, text in REFUSALS.items():
            operation["responses"].setdefault(status, {"description": text, "content": body})
    return result


def tags_describe(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe each group of operations."""
    used = {tag for _method, operation in operations_of(result) for tag in operation["tags"]}
    return {**result, "tags": [{"name": tag, "description": TAGS[tag]} for tag in sorted(used)]}


def integers_widen(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the document with a format for 64-bit integers: without one some generators take 32."""
    for schema in schemas_in(result):
        if schema.get("type") == "integer" and schema.get("maximum", INT32_MAX + 1) > INT32_MAX:
            schema.setdefault("format", "int64")
    return result


def parameter_enums_name(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return the document with parameters that name the choices of the field that they filter."""
    named = {
        tuple(sorted(schema["enum"])): name
        for name, schema in result["components"]["schemas"].items()
        if schema.get("type") == "string" and "enum" in schema
    }
    for _method, operation in operations_of(result):
        for parameter in operation.get("parameters", ()):
            holder, key = (parameter, "schema")
            if holder[key].get("type") == "array":
                holder, key = (holder[key], "items")
            name = named.get(tuple(sorted(holder[key].get("enum", ()))))
            if name is not None:
                holder[key] = {"$ref": f"#/components/schemas/{name}"}
    return result
