"""What the OpenAPI document says beside the views: ways to authenticate, and the form of every refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.utils.translation import gettext
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.settings import APISettings

from apps.api.v1.views import PoolView

if TYPE_CHECKING:
    from collections.abc import Iterable


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


class FormatNegotiation(DefaultContentNegotiation):
    """Read `?format=`, which elsewhere is a parameter like any other, and refused as such."""

    settings = APISettings({"URL_FORMAT_OVERRIDE": "format"})  # type: ignore[assignment]  # the stubs' own name

    def filter_renderers(self, renderers: Iterable[Any], format: str) -> list[Any]:  # DRF's word
        """Return those of a format.  Raises ValidationError."""
        known = list(renderers)
        found = [renderer for renderer in known if renderer.format == format]
        if not found:
            names = ", ".join(sorted({renderer.format for renderer in known}))
            raise ValidationError({"format": gettext("must be one of {names}").format(names=names)})
        return found


class SchemaView(SpectacularAPIView):
    """`/api/schema/`: the OpenAPI document, as YAML or JSON; refusals have the form of all others."""

    content_negotiation_class = FormatNegotiation
    get_exception_handler = PoolView.get_exception_handler


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
