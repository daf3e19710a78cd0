"""The allocator's own port: sector numbers by JSON-RPC, for the miners that `runrole --sctype=get` names.

filguard's wire format is not public; the words are ours, the numbers the pool's.
Source: filguard's distributed lotus-miner, `--sctype=alloce --sclisten=IP:PORT`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import structlog
from django.db import Error as DatabaseError
from django.db import close_old_connections

from apps.api.callers import principal_from_token
from apps.chain.node.client import chain_client
from apps.core import clock
from apps.core.errors import BadValue, DomainError, NotAllowed, NotFound
from apps.core.marked_texts import gettext
from apps.miners.onchain.actors import numbers_allocated
from apps.miners.selectors.miners import miner_get
from apps.sectors.selectors.numbers import numbers_of
from apps.sectors.services.reservations import TTL_S, NumberRequest, numbers_reserve
from apps.users.rules.principals import Principal
from poolsite.filecoin.bitfield import bitfield_of_runs
from poolsite.wire.jsonrpc.messages import json_read

log = structlog.get_logger(__name__)

BODY_MAX: Final = 64 * 1024
TIMEOUT_S: Final = 10.0

Json = Any


class SectorCounter:
    """What the port answers for one miner, while this host holds the allocator's role."""

    def __init__(self, miner: str, host: str, token: Callable[[], int]) -> None:
        self.miner, self.host, self.token = miner, host, token

    def answer(self, principal: Principal, method: str, params: Json) -> Json:
        """Answer one call.  Raises DomainError."""
        if not principal.has_scope(""):
            raise NotAllowed("sector numbers require a token without scopes")
        if not principal.may_call(method):
            raise NotAllowed(f"missing permission to invoke '{method[:60]}': the token does not allow it")
        miner = miner_get(principal, self.miner)
        if method == "SectorCounter.Current":
            central = numbers_of(miner)
            return 0 if central is None else central.next_number
        if method != "SectorCounter.Next":
            raise NotFound(f"method {method[:60]} not found")
        body = params[0] if isinstance(params, list) and params and isinstance(params[0], dict) else {}
        count, holder = body.get("count", 1), body.get("holder", principal.actor)
        if not isinstance(count, int) or not isinstance(holder, str):
            raise BadValue("count must be a number and holder a name", field="count")
        request = NumberRequest(
            name=holder[:100],
            count=count,
            ttl_s=TTL_S,
            allocated=numbers_allocated(chain_client(), miner.address),
            allocator=(self.host, self.token()),
        )
        reserved = numbers_reserve(miner, request=request, principal=principal, now=clock.now())
        numbers = list(bitfield_of_runs(reserved.runs))
        return numbers[0] if count == 1 else numbers


def counter_serve(counter: SectorCounter, *, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Return a server on this address that answers for a counter; the caller runs and closes it."""

    class Handler(BaseHTTPRequestHandler):
        """One call per request, under a token of the pool."""

        timeout = TIMEOUT_S

        def do_POST(self) -> None:  # the name that http.server calls
            """Answer one JSON-RPC call."""
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > BODY_MAX:
                self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            body = json.dumps(self.reply(self.rfile.read(int(length)))).encode()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def reply(self, data: bytes) -> Json:
            """Return the JSON-RPC answer."""
            answer: Json = {"jsonrpc": "2.0", "id": None}
            close_old_connections()
            try:
                call = json_read(data.decode())
                answer["id"] = call.get("id")
                scheme, _, token = self.headers.get("Authorization", "").partition(" ")
                if scheme.lower() != "bearer":
                    raise BadValue("a token is required: send 'Authorization: Bearer <token>'")
                principal = principal_from_token(token.strip(), source=self.client_address[0])
                answer["result"] = counter.answer(principal, str(call.get("method")), call.get("params"))
            except (ValueError, AttributeError, RecursionError):
                answer["error"] = {"code": -32700, "message": "the body is not a JSON-RPC call"}
            except DomainError as refusal:
                answer["error"] = {"code": 1, "message": refusal.reason, "data": {"code": refusal.code}}
            except DatabaseError as error:
                # The reply names no numbers: a reservation, if one was made, stays with its lease.
                log.warning("sector_counter_database_away", reason=str(error).strip())
                answer["error"] = {
                    "code": 1,
                    "message": gettext("the pool's database does not respond: try again"),
                    "data": {"code": "database_away"},
                }
            finally:
                close_old_connections()
            return answer

        def log_message(self, format: str, *args: Any) -> None:  # http.server's signature
            """Write into our log."""
            log.info("sector_counter", source=self.client_address[0], line=format % args)

    return ThreadingHTTPServer(address, Handler)
