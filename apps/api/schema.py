"""What the OpenAPI document says beside the views: ways to authenticate, and the form of every refusal."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library's hook
    """A bearer token."""

    target_class = "apps.api.v1.access.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002  # the library's signature
        """Describe the header."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as above
    """The cookie of a page's session."""

    target_class = "apps.api.v1.access.PersonAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002  # the library's signature
        """Describe the cookie."""
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}


REFUSALS: Final = {
    "4XX": "Refused: `code` is for programs, `message` for people, `field` names the offending input.",
    "503": "A node, a signer or the database is unavailable: try again after `Retry-After` seconds.",
}


def refusals_add(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Return every operation the answers that any of them may have."""
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, text in REFUSALS.items():
                operation["responses"].setdefault(status, {"description": text, "content": body})
    return result
