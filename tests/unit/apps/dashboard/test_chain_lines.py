"""Messages of a tipset in words."""

from __future__ import annotations

import pytest

from apps.dashboard.lines.chain import message_line, params_words
from poolsite.filecoin.actors.decode import params_encode
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.message import Message, Receipt

MINER = "f01000"


def message(method: int, params: bytes = b"", to: str = MINER) -> Message:
    return Message(to=address_parse(to), from_=address_parse("f0100"), method=method, params=params)


@pytest.mark.parametrize(
    ("code", "tone", "words"), [(0, "ok", "ok"), (None, "idle", "not executed yet"), (16, "bad", "")]
)
def test_what_came_of_a_message_is_said(code: int | None, tone: str, words: str) -> None:
    receipt = None if code is None else Receipt(exit_code=code, return_=b"", gas_used=1)
    line = message_line("bafy", message(0), receipt, miners=())

    assert (line.tone, line.method, line.params) == (tone, "Send", "")
    assert words in line.result
    assert line.result


def test_parameters_of_a_known_miner_are_readable() -> None:
    params = params_encode("miner", 16, {"AmountRequested": "5"})
    line = message_line("bafy", message(16, params), None, miners={MINER})

    assert line.method == "WithdrawBalance"
    assert "AmountRequested" in line.params


def test_parameters_that_nobody_knows_are_hex() -> None:
    assert params_words("", 99, b"\x82\x01") == "8201"
