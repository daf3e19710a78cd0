"""The old wallet's strategies: its RPC names, its command line's verbs, its words, on our rules and sets."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from poolsite.filecoin.address import address_parse
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_cbor
from poolsite.wire.jsonrpc.messages import RpcError
from tests.keys import fixed_key
from workers.signer.changes import history_of
from workers.signer.commands import main
from workers.signer.default_policy import DEFAULT
from workers.signer.errors import Denied
from workers.signer.policy_parse import policy_parse
from workers.signer.server import WalletApp
from workers.signer.signing import Signer
from workers.signer.strategy import Strategy
from workers.signer.strategy_rpc import STRATEGY_METHODS
from workers.signer.tokens import token_new
from workers.signer.wallet_rpc import WalletDispatcher

SECRET = bytes(range(32))
SECP, BLS = (str(key_address(fixed_key(kind))) for kind in ("secp256k1", "bls"))


class Client:
    """A caller with a token over the wallet JSON-RPC."""

    def __init__(self, signer: Signer, perm: str = "admin", strategy: str = "") -> None:
        mark = f"___{strategy}" if strategy else ""
        header = f"Bearer {token_new(SECRET, perm)}{mark}".encode()
        scope = {"headers": [(b"authorization", header)], "client": ("127.0.0.1", 7)}
        self.door = WalletDispatcher(WalletApp(signer, secret=lambda: SECRET).caller(scope))

    def __call__(self, method: str, *params: Any) -> Any:
        return asyncio.run(self.door(f"Filecoin.{method}", list(params), on_socket=False))[0]

    def sign(self, *, to: str = "f01234", method: int = 0, kind: str = "message", of: str = SECP) -> Any:
        fields: dict[str, Any] = {"value": 10**20, "gas_limit": 1, "gas_fee_cap": 1, "gas_premium": 1}
        one = Message(to=address_parse(to), from_=address_parse(of), nonce=0, method=method, **fields)
        meta = {"type": kind, "extra": base64.b64encode(message_to_cbor(one)).decode()}
        return self("WalletSign", of, base64.b64encode(one.cid.data).decode(), meta)


@pytest.fixture
def admin(signer: Signer) -> Client:
    return Client(signer)


@pytest.fixture
def token(admin: Client) -> str:
    """A strategy token that lets the secp256k1 key send."""
    admin("NewKeyBindCustom", "purse", SECP, [1], ["Send"])
    admin("NewGroup", "outside", ["purse"])
    return str(admin("NewStToken", "outside"))


def test_a_token_gives_its_groups_key_binds_and_nothing_else(signer, token):
    caller = Client(signer, "sign", token)

    assert caller.sign()["Type"] == 1  # 100 FIL: the other rules and their ceilings are not asked
    assert caller("WalletList") == [SECP]
    assert caller("WalletHas", BLS) is False
    with pytest.raises(RpcError, match="this metaType or method is not allowed to pass: msgType unknown"):
        caller.sign(kind="unknown")
    with pytest.raises(RpcError, match="this metaType or method is not allowed to pass: method CronTick"):
        caller.sign(to="f05", method=9)
    with pytest.raises(RpcError, match="data not exists"):
        caller.sign(of=BLS)


def test_key_binds_widen_nothing_for_callers_without_their_token(signer, token):
    assert token
    with pytest.raises(RpcError, match="data not exists"):
        Client(signer, "sign").sign()
    fields: dict[str, Any] = {"value": 10**20, "gas_limit": 1, "gas_fee_cap": 1, "gas_premium": 1}
    one = Message(to=address_parse("f01234"), from_=address_parse(SECP), nonce=0, **fields)
    with pytest.raises(Denied):
        signer.sign(
            address=SECP,
            to_sign=one.cid.data,
            meta_type="message",
            extra=message_to_cbor(one),
            caller="gateway ws://hub",
        )


@pytest.mark.parametrize("kept", [True, False])
def test_a_strategy_that_is_left_away_or_was_removed_gives_nothing(signer, admin, token, kept):
    """Otherwise whoever was limited would cut the second half of `jwt___token` off, or outlive a removal."""
    if not kept:
        admin("RemoveStToken", token)

    for strategy in ("", "removed" if kept else token):
        caller = Client(signer, "sign", strategy)
        assert caller("WalletList") == []
        with pytest.raises(RpcError, match="data not exists"):
            caller.sign()


async def test_a_strategy_token_that_is_removed_ends_on_an_open_socket(signer, token):
    app = WalletApp(signer, secret=lambda: SECRET)
    header = f"Bearer {token_new(SECRET, 'sign')}___{token}".encode()
    scope = {"type": "websocket", "headers": [(b"authorization", header)], "client": ("127.0.0.1", 7)}
    said: asyncio.Queue[Any] = asyncio.Queue()
    heard: asyncio.Queue[Any] = asyncio.Queue()
    heard.put_nowait({"type": "websocket.connect"})
    serving = asyncio.create_task(app(scope, heard.get, said.put))
    assert (await said.get())["type"] == "websocket.accept"

    async def keys() -> list[str]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "Filecoin.WalletList", "params": []})
        await heard.put({"type": "websocket.receive", "text": body})
        return list(json.loads((await said.get())["text"])["result"])

    before = await keys()
    app.strategy.token_remove(token)
    after = await keys()
    await heard.put({"type": "websocket.disconnect"})
    await serving

    assert (before, after) == ([SECP], [])


def test_an_admin_is_not_bound_by_a_strategy_token(signer, token):
    assert BLS in Client(signer, "admin", token)("WalletList")


def test_unknown_tokens_are_cut_off_only_where_there_are_no_strategies(signer, admin):
    assert SECP in Client(signer, "sign", "old")("WalletList")

    admin("NewKeyBindCustom", "purse", SECP, [1], ["Send"])
    admin("NewGroup", "outside", ["purse"])
    token = admin("NewStToken", "outside")

    assert Client(signer, "sign", "old")("WalletList") == []
    with pytest.raises(RpcError, match="data not exists"):
        Client(signer, "sign", "old").sign()
    admin("RemoveGroup", "outside")
    assert admin("GetKeyBindByName", "purse")["Name"] == "purse"
    with pytest.raises(RpcError, match="data not exists"):
        admin("GetWalletTokenInfo", token)


def test_answers_have_the_old_names(admin, token):
    bind = {"BindID": 1, "Name": "purse", "Address": SECP, "MetaTypes": 2, "Methods": ["Send"]}
    group = {"GroupID": 1, "Name": "outside", "KeyBinds": [bind]}

    assert admin("GetKeyBindByName", "purse") == bind
    assert admin("GetKeyBinds", SECP) == [bind]
    assert admin("GetKeyBinds", "nonsense") == []
    assert admin("ListKeyBinds", 0, 10) == [bind]
    assert admin("ListKeyBinds", 1, 10) == []
    assert admin("GetGroupByName", "outside") == group
    assert admin("ListGroups", 0, 10) == [group]
    assert admin("GetWalletTokensByGroup", "outside") == [token]
    assert admin("GetWalletTokenInfo", token) == {"Token": token, **group}


def test_templates_make_key_binds(admin):
    admin("NewMsgTypeTemplate", "mining", [1, 2, 4])
    admin("NewMethodTemplate", "proofs", ["SubmitWindowedPoSt", "Send"])

    admin("NewKeyBindFromTemplate", "miner", BLS, "mining", "proofs")

    assert admin("GetMsgTypeTemplate", "mining") == {"MTTId": 1, "Name": "mining", "MetaTypes": 22}
    proofs = {"MTId": 1, "Name": "proofs", "Methods": ["SubmitWindowedPoSt", "Send"]}
    assert admin("GetMethodTemplateByName", "proofs") == proofs
    assert admin("ListMethodTemplates", 0, 5) == [proofs]
    assert [one["Name"] for one in admin("ListMsgTypeTemplates", 0, 5)] == ["mining"]
    bind = admin("GetKeyBindByName", "miner")
    assert (bind["MetaTypes"], bind["Methods"]) == (22, ["SubmitWindowedPoSt", "Send"])
    admin("RemoveMsgTypeTemplate", "mining")
    admin("RemoveMethodTemplate", "proofs")
    with pytest.raises(RpcError, match="data not exists"):
        admin("NewKeyBindFromTemplate", "other", BLS, "mining", "proofs")


def test_a_key_bind_is_changed_in_its_place_and_stays_in_its_groups(signer, admin, token):
    assert admin("AddMsgTypeIntoKeyBind", "purse", [2])["MetaTypes"] == 6
    assert admin("AddMethodIntoKeyBind", "purse", ["WithdrawBalance"])["Methods"] == [
        "Send",
        "WithdrawBalance",
    ]
    assert admin("RemoveMethodFromKeyBind", "purse", ["Send"])["Methods"] == ["WithdrawBalance"]
    assert admin("RemoveMethodFromKeyBind", "purse", ["WithdrawBalance"])["Methods"] == []
    with pytest.raises(RpcError, match="method Send"):
        Client(signer, "sign", token).sign()
    assert admin("RemoveMsgTypeFromKeyBind", "purse", [1, 2])["MetaTypes"] == 0
    with pytest.raises(RpcError, match="msgType message"):
        Client(signer, "sign", token).sign()
    assert admin("GetGroupByName", "outside")["KeyBinds"][0]["Name"] == "purse"


def test_removing_by_address_counts(admin, token):
    assert token
    admin("NewKeyBindCustom", "more", SECP, [1], [])

    assert admin("RemoveKeyBindByAddress", SECP) == 2
    assert admin("ListKeyBinds", 0, 9) == []


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("NewGroup", ("g", ["a", "b"]), "keybind name not exists:a b "),
        ("NewGroup", ("g", []), "nil reference"),
        ("NewMethodTemplate", ("m", ["Send", "Steal"]), "method name illegal: Steal"),
        ("NewMsgTypeTemplate", ("t", [11]), "code over flow"),
        ("NewMsgTypeTemplate", ("t", [-1]), "code over flow"),
        ("NewKeyBindCustom", ("", SECP, [1], []), "nil reference"),
        ("NewKeyBindCustom", ("b" * 33, SECP, [1], []), "keybind name too long"),
        ("NewKeyBindCustom", ("b", "x", [1], []), "address"),
        ("GetKeyBindByName", ("nobody",), "data not exists"),
        ("RemoveKeyBind", ("nobody",), "data not exists"),
        ("RemoveStToken", ("nobody",), "data not exists"),
        ("NewStToken", ("nobody",), "data not exists"),
        ("AddMethodIntoKeyBind", ("nobody", ["Send"]), "data not exists"),
    ],
)
def test_refusals_have_the_old_words(admin, method, params, words):
    with pytest.raises(RpcError, match=words):
        admin(method, *params)


def test_strategies_are_the_admins(signer):
    for name, row in STRATEGY_METHODS.items():
        assert row.perm == "admin"
        with pytest.raises(RpcError, match="missing permission"):
            Client(signer, "sign")(name, *[None] * len(row.params))


def test_every_change_is_a_version_of_the_policy(signer, admin, token):
    assert token
    rules = policy_parse((signer.folder / "policy.toml").read_text())

    assert [rule.name for rule in rules.rules][-1] == "keybind purse"
    assert rules.sets == {"group outside": ("keybind purse",)}
    assert [one.by for one in history_of(signer.folder).versions()] == [
        "strategy: new purse",
        "strategy: new group outside",
    ]
    assert set(DEFAULT.splitlines()) <= set((signer.folder / "policy.toml").read_text().splitlines())


def limit(signer, rule_text):
    """The owner puts limits on the key bind's rule."""
    path = signer.folder / "policy.toml"
    text = path.read_text().replace('name = "keybind purse"', f'name = "keybind purse"\n{rule_text}')
    path.write_text(text)


def bind_rule(signer):
    policy = policy_parse((signer.folder / "policy.toml").read_text())
    return next(rule for rule in policy.rules if rule.name == "keybind purse")


def test_a_change_of_a_key_bind_leaves_its_owners_limits(signer, admin, token):
    limit(signer, 'to = ["f01234"]\nvalue_max = "1 FIL"\nvalue_per_day = "5 FIL"\nhours = "08:00-18:00"')
    before = bind_rule(signer)

    admin("AddMethodIntoKeyBind", "purse", ["AddBalance"])
    admin("AddMsgTypeIntoKeyBind", "purse", [2])
    after = bind_rule(signer)
    admin("RemoveMethodFromKeyBind", "purse", ["AddBalance"])
    admin("RemoveMsgTypeFromKeyBind", "purse", [2])

    assert after == replace(before, methods=("Send", "*.AddBalance"), types=("message", "block"))
    assert bind_rule(signer) == before


def test_a_method_that_is_limited_to_an_actor_stays_so(signer, admin, token):
    admin("AddMethodIntoKeyBind", "purse", ["WithdrawBalance"])
    path = signer.folder / "policy.toml"
    path.write_text(path.read_text().replace("*.WithdrawBalance", "miner.WithdrawBalance"))

    admin("AddMethodIntoKeyBind", "purse", ["AddBalance", "WithdrawBalance"])
    assert bind_rule(signer).methods == ("Send", "miner.WithdrawBalance", "*.AddBalance")
    admin("RemoveMethodFromKeyBind", "purse", ["WithdrawBalance"])
    assert bind_rule(signer).methods == ("Send", "*.AddBalance")


@pytest.mark.parametrize("pattern", ["*", "miner.*"])
def test_a_method_that_a_pattern_allows_cannot_be_taken_out_alone(signer, admin, token, pattern):
    path = signer.folder / "policy.toml"
    before = path.read_text().replace('methods = ["Send"]\ncallers', f'methods = ["{pattern}"]\ncallers')
    path.write_text(before)
    assert bind_rule(signer).methods == (pattern,)

    with pytest.raises(RpcError, match="other methods of this rule include WithdrawBalance"):
        admin("RemoveMethodFromKeyBind", "purse", ["WithdrawBalance"])

    admin("AddMethodIntoKeyBind", "purse", ["WithdrawBalance"])
    assert bind_rule(signer).methods == (pattern,)


def test_the_command_line_has_the_old_verbs(signer, capsys):
    def run(*words: str) -> str:
        code = main(["st", "--dir", str(signer.folder), *words])
        said = capsys.readouterr()
        return said.out.strip() if not code else f"refused: {said.err.strip()}"

    assert run("newMsgTypeTemplate", "t", "1", "2") == "success"
    assert run("newMethodTemplate", "m", "Send", "ChangePeerID") == "success"
    assert run("msgTypeTemplate", "t") == "1,2"
    assert run("listMethodTemplates") == "m\t: Send,ChangePeerID"
    assert run("newKeyBindCustom", "a", SECP, "1", "Send") == "success"
    assert run("newKeyBindFromTemplate", "b", BLS, "t", "m") == "success"
    assert run("keyBind", "b") == f"address\t: {BLS}\ntypes\t: 1,2\nmethods\t: Send,ChangePeerID"
    assert run("newGroup", "g", "a", "b") == "success"
    token = run("newStToken", "g")
    assert run("groupTokens", "g") == token
    assert "name\t: a" in run("stTokenInfo", token)
    assert run("listKeyBinds", "--from", "1", "--to", "2").startswith("name\t: b")
    assert run("addMethodIntoKeyBind", "a", "WithdrawBalance").endswith("Send,WithdrawBalance")
    assert run("removeKeyBindByAddress", SECP) == "1 rows of data were deleted"
    assert run("removeStToken", token) == "success"
    assert run("types").splitlines()[1] == "1\tchainMsg"
    assert "SubmitWindowedPoSt" in run("methods").splitlines()
    assert run("newGroup", "x", "nobody") == "refused: keybind name not exists:nobody"
    assert run("newStToken") == "refused: newStToken needs: group"
    assert run("burn").startswith("refused: unknown command 'burn'")


def test_a_damaged_book_is_told(signer):
    (signer.folder / "strategy.json").write_text("[")

    with pytest.raises(Exception, match="is damaged"):
        Strategy(signer.folder).book()
