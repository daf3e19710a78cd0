"""API strings of nodes."""

from __future__ import annotations

import pytest

from apps.chain.errors import BadNodeAddress
from apps.chain.node.addresses import node_address

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJBbGxvdyI6WyJyZWFkIl19.abc-_1"


@pytest.mark.parametrize(
    ("text", "http", "ws"),
    [
        ("http://127.0.0.1:1234/rpc/v1", "http://127.0.0.1:1234/rpc/v1", "ws://127.0.0.1:1234/rpc/v1"),
        ("ws://127.0.0.1:1234", "http://127.0.0.1:1234/rpc/v1", "ws://127.0.0.1:1234/rpc/v1"),
        ("https://node.example/rpc/v0/", "https://node.example/rpc/v0", "wss://node.example/rpc/v0"),
        ("/ip4/10.0.0.1/tcp/3453", "http://10.0.0.1:3453/rpc/v1", "ws://10.0.0.1:3453/rpc/v1"),
        ("/ip4/10.0.0.1/tcp/3453/http", "http://10.0.0.1:3453/rpc/v1", "ws://10.0.0.1:3453/rpc/v1"),
        ("/dns/a.example/tcp/443/wss", "https://a.example:443/rpc/v1", "wss://a.example:443/rpc/v1"),
        ("/ip6/::1/tcp/1/http/version/v0", "http://[::1]:1/rpc/v0", "ws://[::1]:1/rpc/v0"),
    ],
)
def test_an_address_is_read_in_every_form(text: str, http: str, ws: str) -> None:
    found = node_address(text)

    assert (found.http_url, found.ws_url, found.token) == (http, ws, "")


def test_a_token_goes_before_the_colon() -> None:
    found = node_address(f"{TOKEN}:/ip4/127.0.0.1/tcp/1234/http")

    assert found.token == TOKEN
    assert found.http_url == "http://127.0.0.1:1234/rpc/v1"


def test_a_token_may_come_apart_from_the_url() -> None:
    found = node_address("http://127.0.0.1:1234", token="plain")

    assert (found.http_url, found.token) == ("http://127.0.0.1:1234/rpc/v1", "plain")
    assert node_address(f"{TOKEN}:http://a", token="").token == TOKEN


@pytest.mark.parametrize("token", ["a b", "a\nb", "ä"])
def test_token_that_no_header_carries_is_refused(token: str) -> None:
    with pytest.raises(BadNodeAddress) as refusal:
        node_address("http://a", token=token)
    assert refusal.value.field == "token"


@pytest.mark.parametrize(
    "text",
    [
        *("", "ftp://a", "/ip4/1.2.3.4", "/unix/a/tcp/1", "http://", "a b", "127.0.0.1:3453"),
        *("http://a:99999", "http://a:0", "http://a:b", "http://[::1", "/ip4/1.2.3.4/tcp/99999"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadNodeAddress) as refusal:
        node_address(text, field="url")
    assert refusal.value.field == "url"
