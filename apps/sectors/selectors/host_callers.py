"""Who sends a host's request: its token and its row, read by one statement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db.models import JSONField, Model

from apps.core.prepared_statements import Prepared
from apps.sectors.models import Worker
from apps.users.models import Tenant, Token
from apps.users.selectors.tokens import token_digest

ROWS: Final[tuple[tuple[str, type[Model]], ...]] = (
    ("token", Token),
    ("tenant", Tenant),
    ("worker", Worker),
)
CALLER: Final = Prepared(
    "host_caller",
    "SELECT "  # noqa: S608  # names of models' columns
    + ", ".join(f"{alias}.{field.column}" for alias, model in ROWS for field in model._meta.concrete_fields)
    + f" FROM {Token._meta.db_table} token JOIN {Tenant._meta.db_table} tenant ON tenant.id = token.tenant_id"
    f" JOIN {Worker._meta.db_table} worker ON worker.tenant_id = tenant.id AND worker.uuid = $2"
    " WHERE token.digest = $1",
    ["text", "uuid"],
)


def host_caller_find(token: str, uuid: str) -> tuple[Token, Worker] | None:
    """Return the row of a token, good or not, and a worker of its tenant; None unless both are there."""
    rows = CALLER.rows([token_digest(token), uuid])
    if not rows:
        return None
    values = iter(rows[0])
    found: dict[str, Any] = {alias: _row(model, values) for alias, model in ROWS}
    found["token"].tenant = found["worker"].tenant = found["tenant"]
    return found["token"], found["worker"]


def _row(model: type[Model], values: Iterator[Any]) -> Model:
    """Return a row of the next values, as Django's own queries do."""
    fields: Sequence[Any] = model._meta.concrete_fields
    read = [
        json.loads(value) if isinstance(field, JSONField) and value is not None else value
        for field, value in zip(fields, values, strict=False)
    ]
    return model.from_db("default", [field.attname for field in fields], read)
