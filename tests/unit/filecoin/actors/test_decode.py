"""Any message in words: kinds of actors, names of methods, params as fields."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsite.filecoin.actors import miner, multisig, power
from poolsite.filecoin.actors.decode import (
    ACTOR_METHODS,
    actor_kind,
    kind_by_params,
    method_name,
    method_spec,
    params_decode,
    params_display,
    params_encode,
    return_decode,
)
from poolsite.filecoin.actors.exitcodes import ExitCode, exit_code_name, exit_code_text
from poolsite.filecoin.actors.label import LABEL
from poolsite.filecoin.address import DATACAP_ACTOR, MARKET_ACTOR, POWER_ACTOR, id_address
from poolsite.filecoin.cbor import BadCbor, encode
from poolsite.filecoin.cids import cid_of_cbor
from poolsite.filecoin.codec import struct_of, to_cbor
from poolsite.filecoin.kinds import BadField
from tests.unit.filecoin.golden.actors import FIRST_EXPORTED_METHOD
from tests.unit.filecoin.strategies import values_of

GOLDEN = Path(__file__).parents[3] / "golden"


def test_the_kind_of_an_actor_from_its_address_or_its_code() -> None:
    assert actor_kind(POWER_ACTOR) == "power"
    assert actor_kind(MARKET_ACTOR, code_name="fil/18/storageminer") == "market"
    assert actor_kind(DATACAP_ACTOR) == "datacap"
    assert actor_kind(id_address(1000), code_name="fil/18/storageminer") == "miner"
    assert actor_kind(id_address(1000), code_name="ethaccount") == "account"
    assert actor_kind(id_address(1000), code_name="multisig") == "multisig"
    assert actor_kind(id_address(1000)) == ""


def test_names_of_methods() -> None:
    assert method_name("miner", 5) == "SubmitWindowedPoSt"
    assert method_name("", 0) == "Send"
    assert method_name("miner", 999) == "Method 999"
    assert method_name("nonsense", 5) == "Method 5"


@pytest.mark.parametrize("kind", sorted(ACTOR_METHODS))
def test_the_tables_and_the_enumerations_agree(kind: str) -> None:
    methods = ACTOR_METHODS[kind]
    enum = importlib.import_module(f"poolsite.filecoin.actors.{kind}").Method

    assert set(methods) == {int(member) for member in enum}
    assert methods[0].name == "Send"


@pytest.mark.parametrize("kind", sorted(ACTOR_METHODS))
def test_exported_twins_take_the_same_parameters(kind: str) -> None:
    by_name = {spec.name: spec for spec in ACTOR_METHODS[kind].values()}
    for spec in ACTOR_METHODS[kind].values():
        twin = by_name.get(spec.name.removesuffix("Exported"))
        if spec.number >= FIRST_EXPORTED_METHOD and twin is not None:
            assert (spec.params, spec.returns) == (twin.params, twin.returns), spec.name


def test_parameters_as_fields_and_back() -> None:
    value = {
        "Owner": "f0100",
        "Worker": "f0101",
        "WindowPoStProofType": 10,
        "Peer": "cGVlcg==",
        "Multiaddrs": None,
    }

    data = params_encode("power", power.Method.CREATE_MINER, value)

    assert params_decode("power", power.Method.CREATE_MINER, data) == value
    made = to_cbor(power.CreateMinerReturn(id_address(1001), id_address(1001)))
    assert return_decode("power", 2, made) == {"IDAddress": "f01001", "RobustAddress": "f01001"}


def test_parameters_that_are_a_bare_value() -> None:
    data = params_encode("miner", miner.Method.CHANGE_OWNER_ADDRESS, "f0105")

    assert data.hex() == "420069"
    assert params_decode("miner", miner.Method.CHANGE_OWNER_ADDRESS, data) == "f0105"


def test_calls_without_parameters() -> None:
    assert params_decode("miner", miner.Method.REPAY_DEBT, b"") is None
    assert params_decode("miner", 0, b"anything") is None
    assert params_encode("miner", miner.Method.REPAY_DEBT, None) == b""
    assert return_decode("miner", 5, b"") is None


def test_what_cannot_be_shown_says_so() -> None:
    with pytest.raises(BadCbor):
        params_decode("miner", 5, b"\x80")
    with pytest.raises(KeyError):
        params_decode("miner", 999, b"\x80")
    with pytest.raises(KeyError):
        params_encode("miner", 999, {})
    with pytest.raises(KeyError):
        return_decode("miner", 5, b"\x80")
    with pytest.raises(BadField):
        params_encode("miner", 5, {"Deadline": "x"})
    assert method_spec("miner", 999) is None


def test_the_proposal_of_a_multisig_holds_another_call() -> None:
    inner = params_encode("miner", miner.Method.WITHDRAW_BALANCE, {"AmountRequested": "5"})
    proposal = multisig.ProposeParams(to=id_address(1000), value=0, method=16, params=inner)

    shown = params_decode("multisig", multisig.Method.PROPOSE, to_cbor(proposal))

    assert (shown["To"], shown["Method"]) == ("f01000", 16)
    assert params_decode("miner", shown["Method"], proposal.params) == {"AmountRequested": "5"}


def test_labels_are_text_or_bytes() -> None:
    for label in ("", "text", b"\xff", b""):
        assert LABEL.decode(LABEL.encode(label), 0)[0] == label
        assert LABEL.read_json(LABEL.to_json(label)) == label
    for bad in (5, {"bytes": "zz"}, {}):
        with pytest.raises(BadField):
            LABEL.read_json(bad)


def test_exit_codes_as_go_prints_them_and_in_words() -> None:
    assert exit_code_name(7) == "SysErrOutOfGas(7)"
    assert exit_code_name(16) == "ErrIllegalArgument(16)"
    assert exit_code_name(0) == "Ok(0)"
    assert exit_code_name(99) == "99"
    assert exit_code_text(18) == "not allowed for this caller or at this time"
    assert exit_code_text(33, actor="evm") == "the contract reverted"
    assert exit_code_text(1234) == "the actor failed with its own code 1234"
    assert all("unknown" not in exit_code_text(code) for code in ExitCode if "RESERVED" not in code.name)


GO_TYPES = json.loads((GOLDEN / "actor_methods" / "method_types.json").read_text())
WITHOUT_GO_TYPE = {("miner", 36)}
"""Methods whose return value go-state-types does not know: a batch result, as actors v18 writes it."""


def test_no_method_of_any_actor_is_without_its_decoder() -> None:
    undecoded = []
    for kind, methods in GO_TYPES.items():
        for number, types in methods.items():
            spec = method_spec(kind, int(number))
            takes = spec is not None and spec.params is not None
            gives = spec is not None and spec.returns is not None
            if takes != (types["params"] is not None):
                undecoded.append((kind, number, types["params"]))
            if gives != (types["returns"] is not None) and (kind, int(number)) not in WITHOUT_GO_TYPE:
                undecoded.append((kind, number, types["returns"]))

    assert sum(len(methods) for methods in GO_TYPES.values()) == 174
    assert undecoded == []


EVERY_PARAMS = [
    pytest.param(kind, number, id=f"{kind} {spec.name}")
    for kind, methods in sorted(ACTOR_METHODS.items())
    for number, spec in sorted(methods.items())
    if spec.params is not None
]


@pytest.mark.parametrize(("kind", "number"), EVERY_PARAMS)
@settings(max_examples=3)
@given(data=st.data())
def test_every_methods_parameters_become_fields_and_come_back(
    kind: str, number: int, data: st.DataObject
) -> None:
    spec = method_spec(kind, number)
    assert spec is not None
    assert spec.params is not None
    params = to_cbor(data.draw(values_of(struct_of(spec.params))))

    fields = params_decode(kind, number, params)

    assert params_encode(kind, number, json.loads(json.dumps(fields))) == params
    assert params_display(kind, number, params) == fields
    for end in range(1, len(params)):
        with pytest.raises(BadCbor):
            params_decode(kind, number, params[:end])


def test_what_no_table_knows_is_shown_as_it_is() -> None:
    link = cid_of_cbor(b"\x80")
    data = encode([1, b"\xff", "text", [None, True], link])

    assert params_display("contract", 5, data) == [1, "ff", "text", [None, True], {"/": str(link)}]
    assert params_display("contract", 5, b"\xff\xff") == "ffff"
    assert params_display("contract", 5, b"") is None
    assert params_display("miner", 5, b"\x80") == []


def test_an_unknown_receivers_kind_shows_in_what_it_is_sent() -> None:
    withdraw = params_encode("miner", miner.Method.WITHDRAW_BALANCE, {"AmountRequested": "5"})
    propose = to_cbor(multisig.ProposeParams(id_address(1), 0, 0, b""))

    assert kind_by_params(16, withdraw) == "miner"
    assert kind_by_params(2, propose) == "multisig"
    assert kind_by_params(3_844_450_837, b"\x41\x00") == "evm"
    assert kind_by_params(0, b"") == ""
    assert kind_by_params(22, b"") == "miner", "RepayDebt"
    assert kind_by_params(3, b"") == "", "a channel's Settle, or a contract's GetBytecode"
    assert kind_by_params(16, b"\xff") == ""
    assert kind_by_params(1, b"\x80") == ""
