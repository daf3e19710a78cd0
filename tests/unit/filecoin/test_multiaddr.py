"""Multiaddresses and peer ids: texts of the specifications with their bytes, and what is none."""

from __future__ import annotations

import random

import pytest

from poolsite.filecoin.multiaddr import (
    BadMultiaddr,
    base58_decode,
    base58_encode,
    multiaddr_decode,
    multiaddr_encode,
    multiaddr_parse,
    multiaddr_text,
    peer_id_parse,
)

ED25519 = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
SHA256 = "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC"
SHA256_BYTES = "1220d52ebb89d85b02a284948203a62ff28389c57c9f42beec4ec20db76a68911c0b"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("/ip4/127.0.0.1/udp/1234", "047f000001910204d2"),
        ("/ip4/127.0.0.1/tcp/4321", "047f0000010610e1"),
        ("/ip6/2001:8a0:7ac5:4201:3ac9:86ff:fe31:7095", "29200108a07ac542013ac986fffe317095"),
        ("/dns4/ipfs.io/tcp/443/wss", "3607697066732e696f0601bbde03"),
        ("/dnsaddr/ipfs.io", "3807697066732e696f"),
        (f"/p2p/{SHA256}", f"a50322{SHA256_BYTES}"),
        ("/ip4/1.2.3.4/udp/4001/quic-v1", "040102030491020fa1cd03"),
    ],
)
def test_texts_and_bytes_of_the_specification(text: str, data: str) -> None:
    assert multiaddr_encode(multiaddr_parse(text)).hex() == data
    assert multiaddr_text(multiaddr_decode(bytes.fromhex(data))) == text


def test_an_older_name_and_a_last_slash_are_read() -> None:
    text = multiaddr_text(multiaddr_parse(f"/ip4/1.2.3.4/tcp/04001/ipfs/{SHA256}/"))

    assert text == f"/ip4/1.2.3.4/tcp/4001/p2p/{SHA256}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "use a form such as /ip4"),
        ("1.2.3.4:24001", "use a form such as /ip4"),
        ("/", "use a form such as /ip4"),
        ("//", "unknown protocol ''"),
        ("/ip4/1.2.3.4/tcp", "'' is not a valid tcp value"),
        ("/ip4/1.2.3.4/tcp/65536", "'65536' is not a valid tcp value"),
        ("/ip4/1.2.3.4/tcp/0", "'0' is not a valid tcp value"),
        ("/ip4/1.2.3/tcp/1", "'1.2.3' is not a valid ip4 value"),
        ("/ip6/1.2.3.4", "not a valid ip6 value"),
        ("/dns4/a b/tcp/1", "'a b' is not a valid dns4 value"),
        ("/p2p/f01000", "'f01000' is not a valid p2p value"),
        ("/onion/x", "unknown protocol 'onion'"),
    ],
)
def test_what_is_no_multiaddress_is_said(text: str, words: str) -> None:
    with pytest.raises(BadMultiaddr, match=words):
        multiaddr_parse(text)


@pytest.mark.parametrize("data", ["ff", "047f0000", "3607697066", "9004", "3601ff", "0601", "060000", "04"])
def test_damaged_bytes_are_refused(data: str) -> None:
    with pytest.raises(BadMultiaddr):
        multiaddr_decode(bytes.fromhex(data))


def test_peer_ids_are_a_key_or_its_hash() -> None:
    assert peer_id_parse(SHA256).hex() == SHA256_BYTES
    assert peer_id_parse(ED25519).hex().startswith("002408011220")
    assert base58_encode(peer_id_parse(ED25519)) == ED25519


@pytest.mark.parametrize("text", ["", "0OIl", SHA256[:-1], f"{SHA256}1", "bafzbei", "1", "Qm", "Q" * 300])
def test_what_is_no_peer_id_is_refused(text: str) -> None:
    with pytest.raises(BadMultiaddr):
        peer_id_parse(text)


def test_base58_gives_all_bytes_back() -> None:
    chance = random.Random(58)
    for size in range(50):
        data = bytes(size // 10) + chance.randbytes(size)
        assert base58_decode(base58_encode(data)) == data
