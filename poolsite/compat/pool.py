"""The pool that a command is for: where it is, with which token, and what it answers."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from poolsite.compat.verb import Refused, secret_file_read
from poolsite.filecoin.multiaddr import BadMultiaddr, multiaddr_parse
from poolsite.wire.cleartext import is_clear

SITE: Final = Path(__file__).resolve().parents[2]
TIMEOUT_S: Final = 60.0
SECURE: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https", "tls": "https"}
HOST_PROTOCOLS: Final = ("ip4", "ip6", "dns", "dns4", "dns6")
UNAUTHORIZED: Final = 401
TOKEN: Final = re.compile(r"[!-~]*")
"""What a header can carry; a client library's own refusal of anything else would print the token."""


class Unanswered(Refused):
    """A request was sent and no answer came: whether it was carried out is not known."""


def pool_options(parser: argparse.ArgumentParser, *, default: Any = "") -> None:
    """Add the options that say which pool is meant."""
    parser.add_argument(
        "--pool",
        metavar="URL",
        default=default,
        help="the pool's URL or multiaddress; default: POOLSITE_URL, else this checkout's own pool",
    )
    parser.add_argument(
        "--pool-token-file",
        metavar="FILE",
        default=default,
        help="file with a token of the pool; default: POOLSITE_TOKEN_FILE or POOLSITE_TOKEN, "
        "else the operator's of POOLSITE_VAR/operator.json",
    )


def var_folder() -> Path:
    """Return the folder of this checkout's pool."""
    return Path(os.environ.get("POOLSITE_VAR") or SITE / "var")


def url_read(text: str) -> str:
    """Return the URL of a pool without its path.  Raises Refused."""
    if text.startswith("/"):
        return _multiaddr_url(text)
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in SECURE and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        raise Refused(f"{text} is not a pool's address: use https://pool.example or /ip4/1.2.3.4/tcp/8000")
    return f"{SECURE[parts.scheme]}://{parts.netloc}"


def _multiaddr_url(text: str) -> str:
    bare, _, scheme = text.rstrip("/").rpartition("/")
    if scheme not in SECURE:
        bare, scheme = text.rstrip("/"), "http"
    try:
        parts = multiaddr_parse(bare)
    except BadMultiaddr as error:
        raise Refused(f"{text} is not a multiaddress: {error}") from None
    values = {part.name: part.value for part in parts}
    host = next((values[name] for name in HOST_PROTOCOLS if name in values), "")
    if not host or "tcp" not in values:
        raise Refused(f"{text} names no host with a TCP port")
    return f"{SECURE[scheme]}://{f'[{host}]' if 'ip6' in values else host}:{values['tcp']}"


def pool_of(options: argparse.Namespace, *, url: str = "", token: str = "") -> Pool:
    """Return the pool of a command line, of the environment, or of this checkout.

    `url`, `token`: an old program's own options for its server.  The operator's token in operator.json is
    sent to no other address than the one beside it.  Raises Refused.
    """
    env = os.environ
    own = _operator_entry()
    place = options.pool or url or env.get("POOLSITE_URL", "") or own.get("url", "")
    if not place:
        raise Refused(
            "no pool is known: pass --pool, set POOLSITE_URL, or start this checkout's by `make up`"
        )
    place = url_read(place)
    if not token and options.pool_token_file:
        token = secret_file_read(Path(options.pool_token_file))
    token = token or env.get("POOLSITE_TOKEN", "").strip()
    if not token and env.get("POOLSITE_TOKEN_FILE"):
        token = secret_file_read(Path(env["POOLSITE_TOKEN_FILE"]))
    if not token and own.get("url") and url_read(own["url"]) == place:
        token = own.get("admin_token", "")
    if not token:
        raise Refused(f"no token for {place} is known: pass --pool-token-file, or set POOLSITE_TOKEN_FILE")
    clear_warn(place)
    return Pool(place, token)


def clear_warn(url: str) -> None:
    """Warn before a token goes to this address if others on the way can read it."""
    if is_clear(url):
        sys.stderr.write(f"warning: the token goes to {url} in clear: use an https:// address\n")


def _operator_entry() -> dict[str, str]:
    path = var_folder() / "operator.json"
    try:
        entry = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return entry if isinstance(entry, dict) else {}


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool, or a signer, and a token of it."""

    url: str
    token: str
    what: str = "pool"
    """What refusals call the other side: pool or signer."""

    def __post_init__(self) -> None:
        """Refuse a token that cannot be sent.  Raises Refused."""
        if not TOKEN.fullmatch(self.token):
            raise Refused(f"the token for {self.url} has spaces or characters that no token has")

    def get(self, path: str, **params: Any) -> Any:
        """Return what a GET answers.  Raises Refused."""
        return self.call("GET", path, params=params)

    def all_of(self, path: str, **params: Any) -> list[Any]:
        """Return every row of a list that is answered in pages.  Raises Refused."""
        found, cursor = [], None
        while True:
            page = self.get(path, limit=1000, **params, **({"cursor": cursor} if cursor else {}))
            found += page["results"]
            cursor = page["next"]
            if not cursor:
                return found

    def post(self, path: str, body: Any, *, key: str = "") -> Any:
        """Return what a POST answers; the same `key` again does nothing twice.  Raises Refused."""
        return self.call("POST", path, json=body, headers={"Idempotency-Key": key} if key else {})

    def rpc(self, method: str, *params: Any) -> Any:
        """Return the result of a JSON-RPC method.  Raises Refused."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self.call("POST", "/rpc/v1", json=body)
        if answer.get("error"):
            error = answer["error"]
            raise Refused(str(error.get("message") or error), code=error.get("code", 0))
        return answer.get("result")

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **sent: Any) -> Any:
        """Return the JSON of an answer, None if it has none.  Raises Refused with the pool's reason."""
        sent_headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        try:
            answer = httpx.request(method, self.url + path, headers=sent_headers, timeout=TIMEOUT_S, **sent)
        except httpx.InvalidURL as error:
            raise Refused(f"{self.url} is not a pool's address: {error}") from None
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            is_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            refusal = Unanswered if is_sent else Refused
            raise refusal(f"the {self.what} at {self.url} does not answer: {why}") from None
        if answer.is_success:
            return _json(answer) if answer.content else None
        if answer.status_code == UNAUTHORIZED:
            raise Refused(f"the {self.what} at {self.url} refused the token")
        raise Refused(_reason(answer))

    def parts(self, path: str, **sent: Any) -> Iterator[bytes]:
        """Yield what a GET answers, as it comes.  Raises Refused."""
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            with httpx.stream("GET", self.url + path, headers=headers, timeout=TIMEOUT_S, **sent) as answer:
                if not answer.is_success:
                    answer.read()
                    raise Refused(_reason(answer))
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise Refused(f"the {self.what} at {self.url} does not answer: {why}") from None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise Refused(f"{answer.url.copy_with(query=None)} answered no JSON: is a pool there?") from None


def _reason(answer: httpx.Response) -> str:
    """Return the pool's reason: of REST with its field, or of sophon-auth's interface."""
    try:
        entry = answer.json()
    except ValueError:
        entry = {}
    if not isinstance(entry, dict) or not (reason := entry.get("message") or entry.get("error")):
        return f"{answer.url.path} answered {answer.status_code}: is a pool at {answer.url.host}?"
    if isinstance(reason, dict):
        reason = reason.get("message") or reason
    return f"{entry['field']}: {reason}" if entry.get("field") else str(reason)
