"""The company's identity provider: OpenID Connect, the authorization code flow with PKCE, by Authlib.

The provider's own host may be private, as whoever runs the pool chose it.  Other hosts that its answers
name must be public.  Redirects are not followed.  Nothing here is shown to strangers: they read a sentence,
the log says why.

Source: OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0, RFC 7636, RFC 9207.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from django.conf import settings
from django.utils.translation import gettext
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from apps.chain.node.connections import Connections
from apps.chain.node.public_hosts import PublicConnections
from apps.core.errors import NotReachable
from apps.users.errors import CompanyRefused
from apps.users.services.company_logins import CompanyClaims

log = structlog.get_logger(__name__)

CONNECT_S: Final = 3.0
ANSWER_S: Final = 8.0
ANSWER_MAX: Final = 256 * 1024
KEPT_S: Final = 300.0
"""How long the provider's description of itself is kept; what failed is tried again after `AGAIN_S`."""
AGAIN_S: Final = 5.0
ASKED_AT_ONCE: Final = 8
"""Requests to the provider that a process has under way: anybody may cause one, and each holds a thread."""
TURN_S: Final = 2.0
"""How long another one waits for its turn."""
LEEWAY_S: Final = 60
"""By how much the provider's clock may be off."""
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
)
"""Signatures by a key of the provider's alone: the client's secret signs nothing."""
GROUPS_MAX: Final = 2_000


TURNS: Final = threading.BoundedSemaphore(ASKED_AT_ONCE)


class CompanyUnavailable(NotReachable):
    """The provider does not answer, not as the standard says, or too many wait for it."""

    code = "company_unavailable"

    def __init__(self) -> None:
        text = gettext(
            "{provider} cannot be asked now. Try again later, or sign in with a name and password."
        )
        super().__init__(text.format(provider=settings.OIDC_NAME))


class _Distrusted(Exception):
    """An answer of the provider that does not hold what it must."""


FAULTS: Final = (
    *(OSError, HTTPException, ValueError, TypeError, KeyError, AttributeError, RecursionError),
    *(AuthlibBaseError, JoseError, _Distrusted),
)
"""Errors of asking, and of reading an answer that is something else."""


@dataclass(frozen=True, slots=True)
class CompanyQuestion:
    """The address to which a browser is sent, and the values that its answer must have."""

    url: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class CompanyAnswer:
    """The person whom the provider signed in."""

    claims: CompanyClaims
    id_token: str
    """Its own words, which it wants to see when the person signs out."""
    authenticated_at: float | None
    """When the person last proved to the provider who they are; None if it does not say."""


@dataclass(frozen=True, slots=True)
class _Response:
    """An answer as Authlib reads one."""

    status_code: int
    content: bytes

    def json(self) -> Any:
        """Return the body.  Raises ValueError."""
        return json.loads(self.content)

    def raise_for_status(self) -> None:
        """Raise _Distrusted for what is no success, ConnectionError for a failure of the provider's own."""
        if self.status_code >= 500:
            raise ConnectionError(f"HTTP status {self.status_code}")
        if not 200 <= self.status_code < 300:
            raise _Distrusted(f"HTTP status {self.status_code}")


class _Session:
    """Sends Authlib's requests through the pool's connections."""

    def post(self, url: str, *, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> _Response:
        """Send a form, with the client's credentials."""
        url, sent, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _request("POST", url, body=body.encode(), headers=sent)


def _request(
    method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> _Response:
    """Ask one address.  Raises OSError, HTTPException, _Distrusted."""
    parts, issuer = urlsplit(_url_check(url)), urlsplit(settings.OIDC_ISSUER)
    kind = Connections if parts.hostname == issuer.hostname else PublicConnections
    sent = {"user-agent": "poolsite", "accept": "application/json", "connection": "close"}
    sent |= {name.lower(): value for name, value in (headers or {}).items()}
    connections = kind(url, sent, answer_max=ANSWER_MAX)
    if not TURNS.acquire(timeout=TURN_S):
        raise TimeoutError("too many requests are under way")
    try:
        status, answer = connections.request(method, body, connect_s=CONNECT_S, answer_s=ANSWER_S)
    finally:
        TURNS.release()
        connections.close()
    return _Response(status, answer)


def _url_check(url: object) -> str:
    """Return an address that the provider names, if it is as safe as its own.  Raises _Distrusted."""
    parts = urlsplit(url) if isinstance(url, str) else None
    allowed = {"https", urlsplit(settings.OIDC_ISSUER).scheme}
    if parts is None or parts.scheme not in allowed or not parts.hostname or "@" in parts.netloc:
        raise _Distrusted("an address that is not https")
    return str(url)


def _json(response: _Response) -> dict[str, Any]:
    """Return the object of a good answer.  Raises _Distrusted, ValueError."""
    response.raise_for_status()
    value = response.json()
    if not isinstance(value, dict):
        raise _Distrusted("no JSON object")
    return value


class _Description:
    """The provider's own metadata, requested by one thread at a time and cached for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._issuer = ""
        self._until = 0.0
        self._value: dict[str, Any] | None = None

    def read(self) -> dict[str, Any]:
        """Return the description.  Raises CompanyUnavailable."""
        if not self._lock.acquire(timeout=TURN_S):
            raise CompanyUnavailable
        try:
            issuer = settings.OIDC_ISSUER
            if issuer != self._issuer or time.monotonic() >= self._until:
                self._issuer, self._value = issuer, self._ask(issuer)
                self._until = time.monotonic() + (AGAIN_S if self._value is None else KEPT_S)
            if self._value is None:
                raise CompanyUnavailable
            return self._value
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Ask anew next time."""
        with self._lock:
            self._until = 0.0

    def _ask(self, issuer: str) -> dict[str, Any] | None:
        """Ask the provider; None, and a line in the log, if it cannot be used."""
        try:
            found = _json(_request("GET", issuer.rstrip("/") + "/.well-known/openid-configuration"))
            if found["issuer"] != issuer:
                raise _Distrusted(f"it calls itself {str(found['issuer'])[:200]!r}")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _url_check(found[name])
        except FAULTS as error:
            log.warning("company_provider_unusable", issuer=issuer, reason=_reason(error))
            return None
        return found


def _reason(error: BaseException) -> str:
    """Return what went wrong, for the log: neither code nor token nor secret is in it."""
    return repr(error)[:300]


DESCRIPTION: Final = _Description()


def _client(*, redirect_uri: str, found: Mapping[str, Any], secret: str | None) -> OAuth2Client:
    """Return Authlib's client; the secret goes into the header unless the provider wants it in the form."""
    methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return OAuth2Client(
        session=_Session(),
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=secret,
        token_endpoint_auth_method="client_secret_basic"
        if "client_secret_basic" in methods
        else "client_secret_post",
        scope=settings.OIDC_SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
    )


def company_ask(*, redirect_uri: str, is_again: bool) -> CompanyQuestion:
    """Return the question that a browser takes to the provider; `is_again` has the person prove who they are.

    Raises CompanyUnavailable.
    """
    found = DESCRIPTION.read()
    nonce, verifier = generate_token(43), generate_token(64)
    # By the age it also has to say when that was.
    again = {"prompt": "login", "max_age": "60"} if is_again else {}
    client = _client(redirect_uri=redirect_uri, found=found, secret=None)
    url, state = client.create_authorization_url(
        found["authorization_endpoint"],
        state=generate_token(43),
        code_verifier=verifier,
        nonce=nonce,
        **again,
    )
    return CompanyQuestion(url=url, state=state, nonce=nonce, verifier=verifier)


def company_answer(*, code: str, issuer: str, nonce: str, verifier: str, redirect_uri: str) -> CompanyAnswer:
    """Exchange a code for what the provider says of the person, and verify it.

    `issuer` is who the answer says it comes from, where it says so.

    Raises CompanyUnavailable, CompanyRefused.
    """
    found = DESCRIPTION.read()
    try:
        if issuer not in ("", found["issuer"]):
            raise _Distrusted("the answer names another issuer")
        token = _client(redirect_uri=redirect_uri, found=found, secret=_secret_read()).fetch_token(
            found["token_endpoint"], grant_type="authorization_code", code=code, code_verifier=verifier
        )
        claims = _id_token_verify(token, found=found, nonce=nonce)
        groups = _groups_read(claims, token=token, found=found)
    except (OSError, HTTPException) as error:
        log.warning("company_provider_unusable", issuer=settings.OIDC_ISSUER, reason=_reason(error))
        raise CompanyUnavailable from None
    except FAULTS as error:
        log.warning("company_answer_refused", issuer=settings.OIDC_ISSUER, reason=_reason(error))
        text = gettext("the answer of {provider} is not valid: try again, or ask an operator")
        raise CompanyRefused(text.format(provider=settings.OIDC_NAME)) from None
    named = CompanyClaims(
        issuer=claims["iss"],
        subject=claims["sub"],
        name=str(claims.get("preferred_username") or claims.get("email") or ""),
        groups=groups,
    )
    at = claims.get("auth_time")
    return CompanyAnswer(claims=named, id_token=token["id_token"], authenticated_at=at)


def _secret_read() -> str:
    """Return the client's secret.  Raises OSError, _Distrusted if others may read it."""
    path = Path(settings.OIDC_CLIENT_SECRET_FILE)
    if path.stat().st_mode & 0o077:
        raise PermissionError("others may read OIDC_CLIENT_SECRET_FILE: use chmod 600")
    return path.read_text().strip()


def _id_token_verify(token: Mapping[str, Any], *, found: Mapping[str, Any], nonce: str) -> CodeIDToken:
    """Return the claims of an ID token: signed by the provider, for us, now, and for this question.

    Raises those of `FAULTS`.
    """
    keys = KeySet.import_key_set(_json(_request("GET", found["jwks_uri"])))  # type: ignore[arg-type]  # checked there
    decoded = jwt.decode(token["id_token"], keys, algorithms=list(ALGORITHMS))
    client_id = settings.OIDC_CLIENT_ID
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        options={
            "iss": {"essential": True, "value": found["issuer"]},
            "aud": {"essential": True, "value": client_id},
            "exp": {"essential": True},
            "sub": {"essential": True},
        },
        params={"nonce": nonce, "client_id": client_id, "access_token": token.get("access_token")},
    )
    claims.validate(leeway=LEEWAY_S)
    if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255 or "\0" in claims["sub"]:
        raise _Distrusted("no subject")
    return claims


def _groups_read(
    claims: CodeIDToken, *, token: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return a person's groups: of the ID token, else of the provider's record of the person.

    Raises those of `FAULTS`.
    """
    groups = claims.get(settings.OIDC_GROUPS_CLAIM)
    if groups is None and found.get("userinfo_endpoint"):
        headers = {"authorization": f"Bearer {token['access_token']}"}
        person = _json(_request("GET", found["userinfo_endpoint"], headers=headers))
        if person["sub"] != claims["sub"]:
            raise _Distrusted("the record is another person's")
        groups = person.get(settings.OIDC_GROUPS_CLAIM)
    if isinstance(groups, str):
        groups = [groups]
    if groups is None:
        return ()
    if not isinstance(groups, list) or len(groups) > GROUPS_MAX:
        raise _Distrusted("no list of groups")
    return tuple(group for group in groups if isinstance(group, str))


def company_sign_out_url(*, id_token: str, back: str) -> str:
    """Return where a browser ends the provider's session, too; empty if the provider has no such place."""
    try:
        found = DESCRIPTION.read()
        there = _url_check(found.get("end_session_endpoint"))
    except (CompanyUnavailable, _Distrusted):
        return ""
    query = {
        "id_token_hint": id_token,
        "client_id": settings.OIDC_CLIENT_ID,
        "post_logout_redirect_uri": back,
    }
    return f"{there}{'&' if urlsplit(there).query else '?'}{urlencode(query)}"
