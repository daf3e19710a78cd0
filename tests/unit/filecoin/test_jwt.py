"""Tokens in both dialects, and the attempts that must fail."""

from __future__ import annotations

import base64
import json

import jwt
import pytest

from poolsite.filecoin.jwt import (
    BadToken,
    Claims,
    permissions_up_to,
    token_claims,
    token_sign,
    token_verify,
)

SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "claims", [Claims(name="miner", perm="sign", ext="x"), Claims(allow=("read", "write"))]
)
def test_tokens_read_back_and_other_libraries_read_them(claims: Claims) -> None:
    token = token_sign(claims, SECRET)

    assert token_verify(token, SECRET) == claims == token_claims(token)
    payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert payload == (
        {"Allow": list(claims.allow)} if claims.allow else {"name": "miner", "perm": "sign", "ext": "x"}
    )


def test_tokens_of_other_libraries_are_read() -> None:
    token = jwt.encode({"name": "n", "perm": "admin", "ext": ""}, SECRET, algorithm="HS256")

    assert token_verify(token, SECRET) == Claims(name="n", perm="admin")


def test_permissions_in_both_dialects() -> None:
    assert Claims(perm="sign").permissions == ("read", "write", "sign") == permissions_up_to("sign")
    assert Claims(allow=("admin", "read", "fly")).permissions == ("read", "admin")
    assert Claims(perm="root").permissions == ()


def _forge(header: object, payload: object, signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in (header, payload)]
    return ".".join([*parts, signature])


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "..",
        "!!.!!.!!",
        _forge({"alg": "none"}, {"perm": "admin"}),
        _forge({"alg": "HS256"}, {"perm": "admin"}),
        _forge({"alg": "HS256"}, {"perm": "admin"}, "AAAA"),
        _forge([], {}, "AAAA"),
        _forge({"alg": "HS256"}, [], "AAAA"),
        token_sign(Claims(perm="admin"), b"another secret, just as long as ours"),
        token_sign(Claims(perm="admin"), SECRET) + "A",
        token_sign(Claims(name="x" * 5000), SECRET),
    ],
)
def test_forged_and_malformed_tokens_are_refused(token: str) -> None:
    with pytest.raises(BadToken):
        token_verify(token, SECRET)


def test_a_changed_claim_breaks_the_signature() -> None:
    head, _, signature = token_sign(Claims(perm="read"), SECRET).split(".")
    body = token_sign(Claims(perm="admin"), SECRET).split(".")[1]

    with pytest.raises(BadToken, match="HMAC"):
        token_verify(f"{head}.{body}.{signature}", SECRET)


def test_claims_of_the_wrong_type_are_refused() -> None:
    token = jwt.encode({"name": 5}, SECRET, algorithm="HS256")

    with pytest.raises(BadToken):
        token_verify(token, SECRET)
    with pytest.raises(BadToken):
        token_claims("x")
