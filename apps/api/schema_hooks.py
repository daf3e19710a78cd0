"""What holds for every operation of the OpenAPI document, added once it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSALS: Final = {
    "4XX": "Refused: `code` is for programs, `message` for people, `field` names the offending input.",
    "503": "A node, a signer or the database is unavailable: try again after `Retry-After` seconds.",
}
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


def integers_widen(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Say that sizes and numbers need 64 bits: some generators take 32 for an integer without a format."""
    for schema in schemas_in(result):
        if schema.get("type") == "integer" and schema.get("maximum", INT32_MAX + 1) > INT32_MAX:
            schema.setdefault("format", "int64")
    return result


def parameter_enums_name(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Have the choices of a parameter be the schema of the field that it filters, where one has the same."""
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
