"""Recorded answers of sophon-auth, replayed against ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests import people

GOLDEN = Path(__file__).parents[2] / "golden" / "gateway"

CLI = [json.loads(line) for line in (GOLDEN / "auth_cli.jsonl").read_text().splitlines()]

JWT = "<JWT>"

LOCAL = "defaultLocalToken"
"""Name of the original's own admin, and here of the operator's tenant."""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w*-]+")

TIME = re.compile(r'"(createTime|updateTime|CreatedAt|UpdatedAt)":("[^"]*"|[0-9]+)')


def masked(body: str) -> Any:
    """An answer without ids, times, tokens and the operator's own rows; lists in one order."""
    text = TIME.sub(r'"\1":"<time>"', TOKEN.sub(JWT, UUID.sub("<uuid>", body)))
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if not isinstance(value, list):
        return value
    return sorted((row for row in value if row.get("name") != LOCAL), key=json.dumps)


class Replay:
    """Sends recorded requests; the placeholders become the ids and tokens of this run."""

    def __init__(self, client: Any, admin: str) -> None:
        self.client = client
        self.admin = admin
        self.token = ""
        self.uuids: dict[str, str] = {}

    def send(self, request: dict[str, Any], *, token: str | None = None) -> Any:
        body = self.filled(request.get("body") or "")
        headers = people.bearer(self.admin if token is None else token) if token != "" else {}
        headers["X-VENUS-API-NAMESPACE"] = "auth.IAuthClient"
        return self.client.generic(
            request["method"],
            self.filled(request["path"]),
            body,
            content_type=request.get("content_type") or "",
            headers=headers,
        )

    def filled(self, text: str) -> str:
        return UUID.sub(lambda found: self.uuids.get(found[0], found[0]), text.replace(JWT, self.token))

    def learn(self, recorded: str, answered: str) -> None:
        """Keep the ids and the token that this run has where the recording has its own."""
        self.uuids.update(zip(UUID.findall(recorded), UUID.findall(answered), strict=False))
        if '"token":' in answered and "***" not in answered:
            self.token = json.loads(answered)["token"] if answered.startswith("{") else self.token
