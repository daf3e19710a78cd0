"""What the OpenAPI document says beside the views: ways to authenticate, and what fields and bodies hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.plumbing import force_instance
from drf_spectacular.renderers import OpenApiJsonRenderer2, OpenApiYamlRenderer2
from drf_spectacular.utils import Direction, extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import APISettings
from rest_framework.views import APIView

from apps.api.mk20.openapi import document_build
from apps.api.v1.message_input import Base64Field
from apps.api.v1.views import PoolView
from apps.core.marked_texts import gettext
from apps.core.middleware import CONTENT_POLICY


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


class InputScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # as above
    """A body that has what it may have, and nothing else."""

    target_class = "apps.api.v1.serializers.InputSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Direction) -> dict[str, Any]:
        """Return the schema of its fields."""
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        for name, field in force_instance(self.target).fields.items():  # type: ignore[no-untyped-call]  # as above
            not_blank(field, schema["properties"].get(name, {}))
        return {**schema, "additionalProperties": False}


def not_blank(field: Any, schema: dict[str, Any]) -> None:
    """Note where text may not be empty: the library notes it of answers, too, or of nothing."""
    if isinstance(field, Base64Field):
        schema |= schema.pop("oneOf")[0]  # no bytes are bytes, too
    elif isinstance(field, serializers.ListField):
        not_blank(field.child, schema["items"])
    elif isinstance(field, serializers.DictField):
        not_blank(field.child, schema["additionalProperties"])
    elif isinstance(field, serializers.CharField) and not field.allow_blank and "pattern" not in schema:
        schema.setdefault("minLength", 1)


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


class DocsView(SpectacularSwaggerSplitView):
    """`/api/docs/`: the document as a page; each request can be tried, by token or as who is signed in."""

    template_name = "api/docs.html"
    url_name = "api-schema"

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the page; its icons are data in its style sheet."""
        answer: Response = super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]  # the library's
        answer.headers["Content-Security-Policy"] = CONTENT_POLICY.replace(
            "img-src 'self'", "img-src 'self' data:"
        )
        return answer


class MarketJson(APIView):
    """`/market/mk20/info/swagger.json`: the document of market 2.0, where Curio's providers have it."""

    authentication_classes = ()
    permission_classes = ()
    renderer_classes: tuple[type[BaseRenderer], ...] = (OpenApiJsonRenderer2,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:  # noqa: ARG002  # DRF's signature
        """Return the document."""
        return Response(document_build())


class MarketYaml(MarketJson):
    """`/market/mk20/info/swagger.yaml`."""

    renderer_classes = (OpenApiYamlRenderer2,)


class MarketDocs(DocsView):
    """`/market/mk20/info/`: the document as a page."""

    authentication_classes = ()
    title = "Market 2.0"
    url_name = "mk20-swagger-json"
