"""What a provider may answer, and does not: tokens of others, for others, of other times, unsigned."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

from apps.core import clock
from apps.core.errors import DomainError
from apps.dashboard import company_provider
from apps.dashboard.company_provider import DESCRIPTION, CompanyUnavailable, company_answer, company_ask
from apps.users.errors import CompanyRefused

ISSUER = "https://sso.example/realm"
KEY = RSAKey.generate_key(2048, auto_kid=True)
STRANGER = RSAKey.generate_key(2048, parameters={"kid": str(KEY.kid)})
SECRET = "the client's secret, and as long as keys of HMAC are"
ASKED: dict[str, Any] = {
    "code": "c",
    "issuer": ISSUER,
    "nonce": "n",
    "verifier": "v" * 43,
    "redirect_uri": "https://pool.example/login/company/back/",
}


class Provider:
    """Answers by address, as the connections of the pool would bring them."""

    def __init__(self) -> None:
        self.description: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
        }
        now = int(clock.now().timestamp())
        self.claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": "poolsite",
            "sub": "7",
            "iat": now,
            "exp": now + 60,
            "nonce": "n",
            "groups": ["admins"],
        }
        self.header, self.key = {"alg": "RS256", "kid": KEY.kid}, KEY
        self.person: Any = {"sub": "7"}
        self.raw: bytes | None = None
        self.status = 200

    def answer(self, path: str) -> Any:
        """The body of the answer at an address."""
        if path == "/token":
            signed = jwt.encode(self.header, self.claims, self.key, algorithms=["RS256", "HS256"])
            return {"access_token": "a", "token_type": "Bearer", "id_token": signed}
        return {
            "/.well-known/openid-configuration": self.description,
            "/keys": KeySet([KEY]).as_dict(private=False),
            "/userinfo": self.person,
        }[path]


@pytest.fixture
def provider(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    made, secret = Provider(), tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = ISSUER, "poolsite"
    settings.OIDC_CLIENT_SECRET_FILE = str(secret)

    class Connections:
        def __init__(self, url: str, headers: Any, *, answer_max: int) -> None:
            self.path = url.removeprefix(ISSUER)

        def request(self, *args: Any, **times: Any) -> tuple[int, bytes]:
            raw = made.raw if made.raw is not None else json.dumps(made.answer(self.path)).encode()
            return made.status, raw

        def close(self) -> None: ...

    monkeypatch.setattr(company_provider, "Connections", Connections)
    DESCRIPTION.forget()
    yield made
    DESCRIPTION.forget()


def test_a_good_answer_names_the_person(provider):
    answer = company_answer(**ASKED)

    assert (answer.claims.issuer, answer.claims.subject) == (ISSUER, "7")
    assert (answer.claims.groups, answer.authenticated_at) == (("admins",), None)


def test_groups_that_the_token_lacks_are_asked_for(provider):
    del provider.claims["groups"]
    provider.person = {"sub": "7", "groups": "admins"}

    assert company_answer(**ASKED).claims.groups == ("admins",)


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://other.example"},
        {"aud": "another"},
        {"aud": ["poolsite", "another"]},
        {"aud": []},
        {"azp": "another"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"nbf": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"groups": {"admins": True}},
        {"at_hash": "of another"},
    ],
)
def test_a_token_that_is_not_for_this_question_is_refused(provider, forged):
    provider.claims = {name: value for name, value in (provider.claims | forged).items() if value is not None}

    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**ASKED)


def test_a_token_of_another_key_is_refused(provider):
    provider.key = STRANGER

    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**ASKED)


def test_the_clients_secret_signs_nothing(provider):
    provider.header, provider.key = {"alg": "HS256", "kid": KEY.kid}, OctKey.import_key(SECRET)

    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**ASKED)


def test_an_unsigned_token_is_refused(provider, monkeypatch):
    _, body, _ = provider.answer("/token")["id_token"].split(".")
    unsigned = f"eyJhbGciOiJub25lIn0.{body}."
    monkeypatch.setattr(Provider, "answer", _with_token(Provider.answer, unsigned))

    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**ASKED)


def _with_token(real: Any, token: str) -> Any:
    return lambda self, path: (
        {"access_token": "a", "id_token": token} if path == "/token" else real(self, path)
    )


def test_an_answer_of_another_issuer_is_refused(provider):
    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**(ASKED | {"issuer": "https://other.example"}))


def test_the_record_of_somebody_else_is_refused(provider):
    del provider.claims["groups"]
    provider.person = {"sub": "8", "groups": ["admins"]}

    with pytest.raises(CompanyRefused, match="not valid"):
        company_answer(**ASKED)


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://other.example"},
        {"issuer": ISSUER + "/"},
        {"token_endpoint": "http://sso.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "https://user@sso.example/keys"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_is_another_or_unsafe_is_not_used(provider, changed):
    provider.description |= changed

    with pytest.raises(CompanyUnavailable):
        company_ask(redirect_uri=ASKED["redirect_uri"], is_again=False)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"null", b'"x"', b"{}", b"[" * 100_000])
def test_what_is_no_answer_breaks_nothing(provider, raw):
    provider.raw = raw
    with pytest.raises(CompanyUnavailable):
        company_ask(redirect_uri=ASKED["redirect_uri"], is_again=False)

    provider.raw = None
    DESCRIPTION.forget()
    company_ask(redirect_uri=ASKED["redirect_uri"], is_again=False)
    provider.raw = raw
    with pytest.raises(DomainError):
        company_answer(**ASKED)


def test_a_host_that_the_provider_names_must_be_public(provider, settings):
    settings.ALERT_URLS_PRIVATE = False
    provider.description["token_endpoint"] = "https://127.0.0.1:9/token"

    with pytest.raises(CompanyUnavailable):
        company_answer(**ASKED)


def test_a_provider_that_fails_cannot_be_asked_now(provider):
    DESCRIPTION.read()
    provider.status = 503

    with pytest.raises(CompanyUnavailable):
        company_answer(**ASKED)


def test_a_slow_provider_holds_few_threads(provider, monkeypatch):
    monkeypatch.setattr(company_provider, "TURN_S", 0.01)
    monkeypatch.setattr(company_provider, "TURNS", threading.BoundedSemaphore(1))
    DESCRIPTION.read()

    with company_provider.TURNS, pytest.raises(CompanyUnavailable):
        company_answer(**ASKED)

    assert company_answer(**ASKED).claims.subject == "7"


def test_one_thread_waits_for_the_description_and_the_others_do_not(provider, monkeypatch):
    monkeypatch.setattr(company_provider, "TURN_S", 0.01)
    asked, may_answer = threading.Event(), threading.Event()

    def slow(real: Provider, path: str) -> Any:
        asked.set()
        assert may_answer.wait(10)
        return real.description

    monkeypatch.setattr(Provider, "answer", slow)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(DESCRIPTION.read)
        assert asked.wait(10)
        try:
            with pytest.raises(CompanyUnavailable):
                company_ask(redirect_uri=ASKED["redirect_uri"], is_again=False)
        finally:
            may_answer.set()

        assert first.result()["issuer"] == ISSUER
