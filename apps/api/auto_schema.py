"""How an operation of the OpenAPI document is named, grouped and summed up."""

from __future__ import annotations

import re
from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,100}$"},
    OpenApiParameter.HEADER,
    description="The same request with the same key is carried out once, and its response repeated.",
)


class PoolSchema(AutoSchema):
    """Names that every generator can write: `messages:batch` is an action of `messages`."""

    def get_tags(self) -> list[str]:
        """Return the resource: the first word of the path."""
        return [re.split(r"[/:]", self.path.removeprefix("/api/v1/"))[0] or "index"]

    def get_operation_id(self) -> str:
        """Return the path's words and what the method does; `messages:batch` already says that."""
        if ":" in self.path:
            return re.sub(r"\W", "_", "_".join(self._tokenize_path()))
        name = str(super().get_operation_id())
        is_page = "results" in getattr(self.get_response_serializers(), "_declared_fields", {})
        return f"{name.removesuffix('_retrieve')}_list" if is_page and self.method == "GET" else name

    def get_override_parameters(self) -> list[Any]:
        """Return the header that makes a POST safe to repeat, wherever it is read."""
        is_read_whole = not getattr(self.view, "streams_body", True)
        is_kept = self.method == "POST" and is_read_whole and getattr(self.view, "keeps_answers", False)
        return [IDEMPOTENCY_KEY] if is_kept else []

    def get_summary(self) -> str:
        """Return the first sentence of the description, for lists of operations."""
        text = " ".join(self.get_description().split())
        return re.split(r"(?<=[^.])[.;:](?:\s|$)", text, maxsplit=1)[0]
