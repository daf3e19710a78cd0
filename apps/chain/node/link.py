"""One connection to one node: JSON-RPC 2.0 over HTTP as go-jsonrpc speaks it.

Source: spec of filecoin-project/go-jsonrpc handler.go (status 500 carries a JSON error; batches).
"""

from __future__ import annotations

import itertools
import json
import socket
import time
import weakref
from collections.abc import Sequence
from functools import lru_cache
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from apps.chain.errors import NO_ACTOR, NodeAnswerTooLarge, NodeRefused, NodeUnavailable
from apps.chain.node.connections import AnswerTooLarge, Connections
from apps.core.marked_texts import gettext
from apps.core.reasons import colon
from poolsite.tracing import Facts, span
from poolsite.wire.jsonrpc.client import request_write, result_read
from poolsite.wire.jsonrpc.messages import RpcError, frame_read

CONNECT_TIMEOUT_S: Final = 1.0
"""A node that does not accept a connection within this time is taken for away."""

ANSWER_TIMEOUT_S: Final = 30.0
"""Longest wait for an answer where no rule says otherwise; batch estimation is the slowest call."""

REST_S: Final = 3.0
"""A link that failed is asked last for this long."""

BATCH_MAX: Final = 500
"""Calls in one HTTP request; more are sent in several."""


def connection_error_text(error: Exception) -> str:
    """Return why a connection failed, without the system's number of the error."""
    if isinstance(error, ConnectionRefusedError):
        return gettext("connection refused")
    if isinstance(error, socket.gaierror):
        return gettext("its host name cannot be resolved")
    named = error.strerror if isinstance(error, OSError) else ""
    return named or str(error) or type(error).__name__


class NodeLink:
    """Asks one node.  Threads may share it."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        parts = urlsplit(url)
        self.place = f"{parts.hostname}:{parts.port}"
        """Host and port, for traces."""
        self.tired_until = 0.0
        """Monotonic time up to which others are asked first."""
        self.unknown_methods: set[str] = set()
        """Methods that this node does not know."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = Connections(url, headers, answer_max=settings.NODE_RESPONSE_MAX_BYTES)
        self._ids = itertools.count(1)
        # A link that falls out of `link_to` closes its connections with it.
        weakref.finalize(self, self._http.close)

    def call(self, method: str, params: Sequence[Any], *, timeout_s: float | None = None) -> Any:
        """Call once.  Raises NodeUnavailable or NodeRefused."""
        request = self._request(method, params)
        with span(f"node {method}", is_call=True, facts={"server.address": self.place}):
            answer = self._post(request, timeout_s=timeout_s)
        if not isinstance(answer, dict) or answer.get("id") not in (request["id"], None):
            raise self.failed(gettext("the response does not match the request"))
        return self._result(method, answer)

    def call_many(
        self, calls: Sequence[tuple[str, Sequence[Any]]], *, timeout_s: float | None = None
    ) -> list[Any]:
        """Send many calls in one request; a refused one stands as its NodeRefused in the list.

        The node works them off one after the other, in order.  Raises NodeUnavailable.
        """
        results: list[Any] = []
        for at in range(0, len(calls), BATCH_MAX):
            part = calls[at : at + BATCH_MAX]
            requests = [self._request(method, params) for method, params in part]
            batch: Facts = {"server.address": self.place, "rpc.batch.size": len(part)}
            with span(f"node {part[0][0]}", is_call=True, facts=batch):
                answers = self._post(requests, timeout_s=timeout_s)
            if not isinstance(answers, list):
                raise self.failed(gettext("the node does not support batch requests"))
            found = [answer for answer in answers if isinstance(answer, dict)]
            by_id = {answer["id"]: answer for answer in found if isinstance(answer.get("id"), int | float)}
            for (method, _), request in zip(part, requests, strict=True):
                answer = by_id.get(request["id"])
                if answer is None:
                    raise self.failed(gettext("the node's response to a batch is incomplete"))
                try:
                    results.append(self._result(method, answer))
                except NodeRefused as refusal:
                    results.append(refusal)
        return results

    def close(self) -> None:
        """Close the connections; the link can be used again and opens new ones."""
        self._http.close()

    def _request(self, method: str, params: Sequence[Any]) -> dict[str, Any]:
        return request_write(next(self._ids), method if "." in method else f"Filecoin.{method}", params)

    def _post(self, body: Any, *, timeout_s: float | None = None) -> Any:
        longest_s = timeout_s or ANSWER_TIMEOUT_S
        connect_s = min(longest_s, CONNECT_TIMEOUT_S)
        try:
            # Plain ASCII: a lone surrogate in a text has no UTF-8 form, but an escape.
            content = json.dumps(body, separators=(",", ":")).encode()
            status, answer = self._http.post(content, connect_s=connect_s, answer_s=longest_s)
        except AnswerTooLarge as error:  # it says nothing about the node: the next call is welcome
            raise NodeAnswerTooLarge(f"{self.url}: {error}") from error
        except TimeoutError as error:
            if longest_s > ANSWER_TIMEOUT_S:  # a long search says nothing about the node
                raise NodeUnavailable(
                    gettext("{url}: no response within {longest_s:.0f} s").format(
                        url=self.url, longest_s=longest_s
                    )
                ) from error
            raise self.failed(
                gettext("no response within {longest_s:g} s").format(longest_s=round(longest_s, 1))
            ) from error
        except (OSError, HTTPException, ValueError) as error:
            raise self.failed(connection_error_text(error)) from error
        if status in (401, 403):
            raise self.failed(gettext("the node rejected our token"))
        try:
            return frame_read(answer)
        except RpcError:
            raise self.failed(
                gettext("HTTP status {status}, and the response is not JSON").format(status=status)
            ) from None

    def failed(self, reason: str) -> NodeUnavailable:
        """Note that the node did not serve, and give the error that says so."""
        self.tired_until = time.monotonic() + REST_S
        return NodeUnavailable(colon(self.url, reason))

    def _result(self, method: str, answer: dict[str, Any]) -> Any:
        try:
            result = result_read(answer)
            if result is None and method == "StateGetActor":  # forest says so of an address without an actor
                raise RpcError(NO_ACTOR)
        except RpcError as error:
            refusal = NodeRefused(error.code, error.message, data=error.data)
        except ValueError:
            raise self.failed(gettext("the node's error could not be parsed")) from None
        else:
            return result
        if refusal.is_unknown_method:
            self.unknown_methods.add(method)
        raise refusal


@lru_cache(maxsize=64)
def link_to(url: str, token: str) -> NodeLink:
    """Return this process's link to a node; its connections are kept between calls."""
    return NodeLink(url, token)
