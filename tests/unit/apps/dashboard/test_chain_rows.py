"""Messages of a tipset in words."""

from __future__ import annotations

import pytest

from apps.dashboard.pages.chain.tipset import message_row, params_text, return_text
from poolsite.filecoin.actors.batch import BatchReturn, FailCode
from poolsite.filecoin.actors.decode import params_encode
from poolsite.filecoin.address import address_parse
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.message import Message, Receipt

MINER = "f01000"


def message(method: int, params: bytes = b"", to: str = MINER) -> Message:
    return Message(to=address_parse(to), from_=address_parse("f0100"), method=method, params=params)


@pytest.mark.parametrize(
    ("code", "tone", "words"), [(0, "ok", "ok"), (None, "idle", "not executed yet"), (16, "bad", "")]
)
def test_what_came_of_a_message_is_said(code: int | None, tone: str, words: str) -> None:
    receipt = None if code is None else Receipt(exit_code=code, return_=b"", gas_used=1)
    line = message_row("bafy", message(0), receipt, miners=())

    assert (line.tone, line.method, line.params) == (tone, "Send", "")
    assert words in line.result
    assert line.result


def test_parameters_of_a_known_miner_are_readable() -> None:
    params = params_encode("miner", 16, {"AmountRequested": "5"})
    line = message_row("bafy", message(16, params), None, miners={MINER})

    assert line.method == "WithdrawBalance"
    assert "AmountRequested" in line.params


def test_parameters_that_nobody_knows_are_hex() -> None:
    assert params_text("", 99, b"\x82\x01") == "8201"


def test_what_a_method_gave_back_and_its_gas_are_shown() -> None:
    returned = to_cbor(BatchReturn(2, (FailCode(1, 16),)))
    receipt = Receipt(exit_code=0, return_=returned, gas_used=1234)
    line = message_row("bafy", message(34), receipt, miners={MINER})

    assert line.gas.startswith("1\u202f234 of")
    assert '"SuccessCount": 2' in line.returned
    assert message_row("bafy", message(0), None, miners=()).gas == ""


def test_a_return_that_nobody_knows_is_hex() -> None:
    assert return_text("", 99, b"\x82\x01") == "8201"
