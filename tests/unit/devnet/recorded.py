"""Reading recorded exchanges of a lotus node and comparing them with what the devnet answers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from poolsite.devnet.node import Devnet
from poolsite.devnet.rpc.dispatch import PERMS
from poolsite.devnet.server import Server

FOLDER = Path(__file__).parents[2] / "golden" / "chain" / "lotus"

_CID = re.compile(r"baf[a-z2-7]{50,}|bag[a-z2-7]{50,}")
_ADDRESS = re.compile(r"\b[tf](?:0\d+|[123][a-z2-7]{38,})")


def exchanges(name: str) -> list[dict[str, Any]]:
    """The exchanges of a file."""
    data = json.loads((FOLDER / name).read_text())
    found: list[dict[str, Any]] = data if isinstance(data, list) else data["exchanges"]
    return found


def plain(text: str) -> str:
    """A refusal without what differs between chains: CIDs and addresses."""
    return _ADDRESS.sub("ADDRESS", _CID.sub("CID", text)).strip()


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with the recorded chain's names replaced by this one's."""
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def differences(expected: Any, got: Any, path: str = "") -> list[str]:
    """Where two JSON values differ in form: members, kinds of values; lists by their first items."""
    if isinstance(expected, dict) and isinstance(got, dict):
        found = [f"{path}.{name} is missing" for name in expected if name not in got]
        found += [f"{path}.{name} is new" for name in got if name not in expected]
        for name in expected:
            if name in got:
                found += differences(expected[name], got[name], f"{path}.{name}")
        return found
    if isinstance(expected, list) and isinstance(got, list):
        return differences(expected[0], got[0], f"{path}[0]") if expected and got else []
    if expected is None or got is None:
        return []
    left, right = (_kind(value) for value in (expected, got))
    return [] if left == right else [f"{path} is {right}, not {left}"]


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def answer_differences(expected: str, got: str) -> list[str]:
    """Where an answer's body differs: code and words of errors, form of results."""
    try:
        wanted, given = json.loads(expected), json.loads(got)
    except ValueError:
        return [] if expected.strip() == got.strip() else [f"body {got[:200]!r}, not {expected[:200]!r}"]
    if isinstance(wanted, list) and isinstance(given, list):
        return [] if len(wanted) == len(given) else ["another number of answers"]
    if ("error" in wanted) != ("error" in given):
        return [f"{str(given)[:300]}, not {str(wanted)[:300]}"]
    if "error" not in wanted:
        return differences(wanted["result"], given["result"])
    found = []
    if wanted["error"]["code"] != given["error"]["code"]:
        found.append(f"code {given['error']['code']}, not {wanted['error']['code']}")
    if plain(wanted["error"]["message"]) != plain(given["error"]["message"]):
        found.append(f"{given['error']['message']!r}, not {wanted['error']['message']!r}")
    return found


class Replay:
    """Sends recorded requests to a devnet without a socket."""

    def __init__(self, node: Devnet, names: Mapping[str, str]) -> None:
        self.node = node
        self.names = names
        self.app = Server(node)

    def token(self, perm: str) -> str:
        return self.node.access.token_new(list(PERMS[: PERMS.index(perm) + 1]))

    async def answer(self, exchange: Mapping[str, Any]) -> httpx.Response:
        """The devnet's answer to a recorded request."""
        path = re.sub(r"token=.*", "token=" + self.token("admin"), exchange["path"])
        headers = {}
        if exchange["token"] in PERMS:
            headers["Authorization"] = "Bearer " + self.token(exchange["token"])
        elif exchange["token"] != "none":
            headers["Authorization"] = exchange["token"]
        is_post = exchange["request"] != "null"
        body = renamed(exchange["request"], self.names) if is_post else None
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://devnet") as client:
            return await client.request("POST" if is_post else "GET", path, content=body, headers=headers)
