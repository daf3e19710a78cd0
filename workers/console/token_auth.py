"""The token with each request to the console; one that is refused is read again from its file."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx
import structlog

from workers.config_mistakes import BadConfig
from workers.console.refusals import TokenNotAccepted, reason_of
from workers.host_folder import token_read

log = structlog.get_logger(__name__)

PAUSE_S: Final = 30.0
"""Pause before the console is asked again with a token that it refused."""


class TokenAuth(httpx.Auth):
    """Sends the token of a file.  Requests raise TokenNotAccepted when the console refuses it."""

    def __init__(self, url: str, token: str, file: Path | None) -> None:
        self.url = url
        self.file = file
        """Where it is renewed while the worker runs; None for a token that is used once."""
        self._token = token
        self._reason = ""
        """Why the console did not take it last; empty while it does."""
        self._quiet_until = 0.0

    def token(self) -> str:
        """Return the token that its file has now; the one before, while that cannot be read."""
        with suppress(BadConfig):
            if self.file is not None and (token := token_read(self.file)) != self._token:
                log.info("token_renewed", file=str(self.file))
                self._token = token
        return self._token

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the token, and once more if its file has another by then; a stream is not sent again."""
        token = self._token
        if time.monotonic() < self._quiet_until and self.token() == token:
            raise TokenNotAccepted(self.url, self._reason)
        token = self._token
        response = yield _signed(request, token)
        if (
            response.status_code == 401
            and self.token() != token
            and isinstance(request.stream, httpx.ByteStream)
        ):
            token = self._token
            response = yield _signed(request, token)
        if response.status_code == 401:
            response.read()
            self._refused(reason_of(response), is_newest=token == self._token)
            raise TokenNotAccepted(self.url, self._reason)
        if self._reason and response.status_code < 400:
            log.info("token_accepted")
            self._reason, self._quiet_until = "", 0.0

    def _refused(self, reason: str, *, is_newest: bool) -> None:
        """Note why the console refused a token, and say it once."""
        if self.file is not None and is_newest:
            if reason != self._reason:
                advice = f"put a valid token into {self.file}: it is read again, without a restart"
                log.error("token_refused", console=self.url, reason=reason, advice=advice)
            self._quiet_until = time.monotonic() + PAUSE_S
        self._reason = reason


def _signed(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
