"""A signer's policy through the console: shown, rehearsed, changed by who has a code, refused to others."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from channels.db import database_sync_to_async
from django.test import Client

from apps.core.errors import NotFound
from apps.gateway.errors import SignerAway, SignerRefused
from apps.market.services.markets import market_set
from apps.messages.models import Message as Pushed
from apps.messages.states import Wait
from apps.users.models import AuditEntry, Tenant
from apps.users.services.grants import account_approve
from apps.wallets.services import policies
from poolsite.filecoin.actors.market import PublishStorageDealsParams
from poolsite.filecoin.address import MARKET_ACTOR, address_parse
from poolsite.filecoin.amounts import ZERO
from poolsite.filecoin.codec import to_cbor
from poolsite.filecoin.keys import key_address
from poolsite.filecoin.message import Message, message_to_json
from poolsite.wire.codec import document_encode
from poolsite.wire.policy import PUT, REMOVE, PolicyChange, PolicyEdit, RuleForm, change_signature
from tests import factories, people
from tests.integration.gateway.conftest import connected, signer_make
from tests.keys import fixed_key
from tests.people import PASSWORD
from tests.unit.workers.signer.policy import compacting_default, free_premium_default, old_default
from workers.signer.default_policy import DEFAULT
from workers.signer.editors import editor_add
from workers.signer.gateway import GatewaySession

SECP = str(key_address(fixed_key("secp256k1")))
OF_TRANSFERS = 'premium_max = "0.02 FIL"\npremium_per_day = "0.2 FIL"\n'


def in_thread(call):
    return database_sync_to_async(call, thread_sensitive=False)


@pytest.fixture
def token(transactional_db: None) -> str:
    """A signer's token of the tenant alice, which has a wallet row for the key."""
    text = people.token("read", scopes=["signer"])
    factories.wallet(SECP, of="alice")
    return text


def signed_in(name: str) -> Client:
    client = Client()
    assert client.login(username=name, password=PASSWORD)
    return client


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def value_of(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None, name
    return found[1]


async def test_pages_show_change_and_undo_a_policy(web, signer, token):
    code = editor_add(signer.folder, "ann")
    people_ready = in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))
    await people_ready()

    def through_the_pages() -> None:
        client, page = signed_in("adam"), f"/wallets/{SECP}/policy/"
        shown = text_of(client.get(page))
        assert "small transfers" in shown
        assert "ann may change it here." in shown
        review = text_of(client.post(f"{page}remove/", {"name": "small transfers"}))
        assert "Apply version 2?" in review
        change = re.search(r'data-change="([^"]*)"', review)
        assert change is not None
        form = {
            "packed": value_of(review, "packed"),
            "number": value_of(review, "number"),
            "editor": "ann",
        }
        wrong = client.post(f"{page}save/", {**form, "signature": "00"})
        assert wrong.status_code == 422
        assert "The signer rejected the change." in text_of(wrong)
        factories.message("held", from_addr=SECP, wait=Wait.POLICY, attempts=6, retry_height=9999)
        done = client.post(f"{page}save/", {**form, "signature": change_signature(code, change[1])})
        assert Pushed.objects.get(pk="held").retry_height == 0, "what the old policy refused is tried again"
        assert (done.status_code, done.headers["Location"]) == (302, page)
        assert "small transfers" not in text_of(client.get(page))
        old = text_of(client.get(f"{page}versions/1/"))
        assert "<br>Poolsite 0.3.0<br>" in old
        back = text_of(client.post(f"{page}text/", {"packed": value_of(old, "packed")}))
        assert "Apply version 3?" in back
        assert "+name = &quot;small transfers&quot;" in back

    async with connected(signer, web, token):
        await in_thread(through_the_pages)()

    assert "small transfers" not in (signer.folder / "policy.toml").read_text()
    actions = await in_thread(lambda: list(AuditEntry.objects.values_list("action", "actor", "target")))()
    assert actions == [("policy.refused", "adam", SECP), ("policy.change", "adam", SECP)]
    change = await in_thread(lambda: AuditEntry.objects.get(action="policy.change").after)()
    assert change["editor"] == "ann"
    assert '-name = "small transfers"' in change["diff"]


async def test_added_miner_is_proposed_and_named_once_approved(web, signer, token):
    code = editor_add(signer.folder, "ann")
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def through_the_pages() -> None:
        miner = factories.miner(of="alice", worker=SECP)
        client, page = signed_in("adam"), f"/wallets/{SECP}/policy/"
        assert "Proposed change" in text_of(client.get(page))
        there = text_of(client.get(f"/miners/{miner.address}/signing/"))
        assert f"policy --miner {miner.address}" in there
        assert "ann can approve it here" in there
        for shown in (there, text_of(client.get(page))):
            button = shown.partition(f'action="{page}miners/"')[2].partition("</form>")[0]
            assert "csrfmiddlewaretoken" in button
        review = text_of(client.post(f"{page}miners/", {"miner": miner.address}))
        change = re.search(r'data-change="([^"]*)"', review)
        assert change is not None
        form = {"packed": value_of(review, "packed"), "number": value_of(review, "number"), "editor": "ann"}
        client.post(f"{page}save/", {**form, "signature": change_signature(code, change[1])})
        assert "Proposed change" not in text_of(client.get(page))
        named = signer.folder / "policy.toml"
        assert f'to = ["f04", "{miner.address}"]' in named.read_text()
        assert "signs nothing for" not in text_of(client.get(f"/miners/{miner.address}/signing/"))

    async with connected(signer, web, token):
        await in_thread(through_the_pages)()


async def test_approved_policy_change_allows_transfers_between_own_wallets(web, signer, token):
    code = editor_add(signer.folder, "ann")
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def through_the_pages() -> None:
        client, page = signed_in("adam"), f"/wallets/{SECP}/policy/"
        shown = text_of(client.get(page))
        assert "Only the general rule for small amounts" in shown
        assert re.search(r'name="value_max"[^>]*value=', shown) is None
        refused = client.post(f"{page}transfers/", {"value_max": "many", "value_per_day": "9"})
        assert refused.status_code == 422
        review = text_of(client.post(f"{page}transfers/", {"value_max": "50", "value_per_day": "90 FIL"}))
        change = re.search(r'data-change="([^"]*)"', review)
        assert change is not None
        form = {"packed": value_of(review, "packed"), "number": value_of(review, "number"), "editor": "ann"}
        client.post(f"{page}save/", {**form, "signature": change_signature(code, change[1])})
        text = (signer.folder / "policy.toml").read_text()
        assert 'value_max = "50 FIL"' in text
        assert SECP in text
        assert "Allowed up to 50 FIL each and 90 FIL a day." in text_of(client.get(page))

    async with connected(signer, web, token):
        await in_thread(through_the_pages)()


async def test_the_rule_for_publishing_deals_is_proposed_and_then_signs(web, signer, token):
    code = editor_add(signer.folder, "ann")
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()
    publish = Message(
        to=MARKET_ACTOR,
        from_=address_parse(SECP),
        value=ZERO,
        method=4,
        params=to_cbor(PublishStorageDealsParams(())),
    )

    def through_the_pages() -> None:
        miner = factories.miner(of="alice", worker=SECP)
        client, page, viewer = signed_in("adam"), f"/wallets/{SECP}/policy/", people.principal("alice")
        assert "h-publishing" not in text_of(client.get(page)), "no deals of it are published"
        market_set(miner, values={"takes_libp2p": True}, by=viewer)
        assert policies.policy_try(viewer, address=SECP, message=publish).error
        shown = text_of(client.get(page))
        assert f"deals with {miner.address} are published by PublishStorageDeals" in shown
        review = text_of(client.post(f"{page}publishing/"))
        change = re.search(r'data-change="([^"]*)"', review)
        assert change is not None
        form = {"packed": value_of(review, "packed"), "number": value_of(review, "number"), "editor": "ann"}
        client.post(f"{page}save/", {**form, "signature": change_signature(code, change[1])})
        assert "h-publishing" not in text_of(client.get(page))
        verdict = policies.policy_try(viewer, address=SECP, message=publish)
        assert (verdict.error, verdict.rule) == ("", "publishing deals")
        assert client.post(f"{page}publishing/").headers["Location"] == page

    async with connected(signer, web, token):
        await in_thread(through_the_pages)()


async def test_the_page_of_a_policy_that_takes_no_changes_offers_none(web, signer, token):
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def page() -> str:
        return text_of(signed_in("adam").get(f"/wallets/{SECP}/policy/"))

    async with connected(signer, web, token):
        closed = await in_thread(page)()
        editor_add(signer.folder, "ann")
        opened = await in_thread(page)()

    edits = ("Add a rule", f"/wallets/{SECP}/policy/text/", f"/wallets/{SECP}/policy/rule/")
    assert "Read-only." in closed
    assert [one in closed for one in edits] == [False, False, False]
    assert [one in opened for one in edits] == [True, True, True]


async def test_the_page_says_when_the_policy_is_an_older_default(web, signer, token):
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def page() -> str:
        return text_of(signed_in("adam").get(f"/wallets/{SECP}/policy/"))

    async with connected(signer, web, token):
        today = await in_thread(page)()
        (signer.folder / "policy.toml").write_text(old_default())
        before = await in_thread(page)()
        with_miner = compacting_default().replace('["f04"]', '["f04", "f01234"]')
        (signer.folder / "policy.toml").write_text(with_miner)
        in_use = await in_thread(page)()

    assert "Default of an older signer." in before
    assert "Default of an older signer." in in_use
    assert "one message of that method can stop a miner from sealing for good." in in_use
    assert "Default of an older signer." not in today


async def test_the_page_names_rules_without_a_limit_of_premiums(web, signer, token):
    """What an older `init` wrote, with the pool's miner added, is no default any more."""
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def page() -> str:
        return text_of(signed_in("adam").get(f"/wallets/{SECP}/policy/"))

    async with connected(signer, web, token):
        today = await in_thread(page)()
        with_miner = free_premium_default().replace('["f04"]', '["f04", "f01234"]')
        (signer.folder / "policy.toml").write_text(with_miner)
        in_use = await in_thread(page)()
        (signer.folder / "policy.toml").write_text(DEFAULT.replace(OF_TRANSFERS, ""))
        one = await in_thread(page)()

    assert "Premiums have no limit of their own." not in today
    assert "the fees in: sealing and proving, address book and housekeeping, small transfers." in in_use
    assert "the fees in: small transfers." in one


async def test_page_says_that_another_signer_of_the_key_has_its_own_policy(web, signer, token, tmp_path):
    """A rule that is removed on the page stays in force at a reserve with the same key."""
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()
    reserve = signer_make(tmp_path / "reserve", "secp256k1")

    def page() -> str:
        return text_of(signed_in("adam").get(f"/wallets/{SECP}/policy/"))

    async with connected(signer, web, token):
        alone = await in_thread(page)()
        async with connected(reserve, web, token):
            both = await in_thread(page)()
    reserve.close()

    assert "Other signers hold this key." in both
    assert "Other signers hold this key." not in alone


async def test_the_form_of_a_rule_leads_to_the_review(web, signer, token):
    await in_thread(lambda: people.person("adam", role="TENANT_ADMIN"))()

    def through_the_form() -> None:
        client, page = signed_in("adam"), f"/wallets/{SECP}/policy/rule/"
        assert 'value="small transfers"' in text_of(client.get(page, {"name": "small transfers"}))
        typed = {
            "was": "small transfers",
            "name": "small transfers",
            "place": "1",
            "types": ["message"],
            "methods": "Send\r\nminer.*",
            "to": "f01234, f01235",
            "value_max": "0.5 FIL",
            "premium_max": "0.02 FIL",
            "premium_per_day": "0.3 FIL",
        }
        review = text_of(client.post(page, typed))
        assert "+methods = [&quot;Send&quot;, &quot;miner.*&quot;]" in review
        assert "+premium_max = &quot;0.02 FIL&quot;" in review
        assert "+premium_per_day = &quot;0.3 FIL&quot;" in review
        assert "This signer accepts no changes from a console" in review
        wrong = client.post(page, {**typed, "value_max": "much"})
        assert wrong.status_code == 422
        assert "value_max: failed to parse" in text_of(wrong)

    async with connected(signer, web, token):
        await in_thread(through_the_form)()


async def test_rest_reads_rehearses_tries_and_changes(web, signer, token):
    code = editor_add(signer.folder, "ann")
    admin, reader, strange = [
        await in_thread(people.token)(perm, of=of)
        for perm, of in (("admin", "alice"), ("read", "alice"), ("admin", "bob"))
    ]
    base = web.url.replace("/rpc/v1", f"/api/v1/wallets/{SECP}/policy")
    fields: dict[str, Any] = {"value": 5 * 10**18, "gas_limit": 1, "gas_fee_cap": 1, "gas_premium": 1}
    message = Message(to=address_parse("f01"), from_=address_parse(SECP), nonce=0, **fields)
    async with connected(signer, web, token), httpx.AsyncClient(timeout=60) as client:

        async def ask(method: str, path: str, body: Any = None, token: str = admin) -> tuple[int, Any]:
            answer = await client.request(method, base + path, json=body, headers=people.bearer(token))
            return answer.status_code, answer.json()

        status, state = await ask("GET", "", token=reader)
        assert (status, state["number"], state["editors"]) == (200, 1, ["ann"])
        assert (await ask("GET", "", token=strange))[0] == 404
        rule = RuleForm(name="large", methods=("Send",), value_max="9 FIL")
        edit = document_encode(PolicyEdit(op=PUT, rule=rule))
        status, draft = await ask("POST", "/draft", edit)
        assert (status, draft["number"]) == (200, 2)
        trial = {"message": message_to_json(message)}
        assert "is above 1 FIL" in (await ask("POST", "/try", trial))[1]["error"]
        assert (await ask("POST", "/try", {**trial, "text": draft["text"]}))[1]["rule"] == "large"
        body = document_encode(
            PolicyChange(
                text=draft["text"], number=2, editor="ann", signature=change_signature(code, draft["change"])
            )
        )
        assert (await ask("PUT", "", body, token=reader))[0] == 403
        status, taken = await ask("PUT", "", body)
        assert (status, taken["number"]) == (200, 2)
        status, again = await ask("PUT", "", body)
        assert (status, again["code"]) == (422, "signer_refused")
        status, version = await ask("GET", "/versions/2")
        assert (status, version["line"]["by"][:4]) == (200, "ann ")
        assert (await ask("GET", "/versions/9"))[0] == 422
        assert (await ask("POST", "/draft", {"v": 1, "op": "burn"}))[0] == 400


async def test_anothers_signer_that_serves_an_account_shows_it_no_policy(web, signer, token):
    def approve() -> None:
        alice, bob = Tenant.objects.get(name="alice"), people.tenant("bob")
        account_approve(signer_tenant=alice, account=bob)

    await in_thread(approve)()
    async with connected(signer, web, token, supported=["bob"]):
        with pytest.raises(NotFound):
            await policy_read("bob")
        assert (await policy_read("alice")).number == 1
        assert (await policy_read("pool", is_operator=True)).number == 1


async def policy_read(name: str, **overrides: Any) -> Any:
    return await in_thread(
        lambda: policies.policy_read(people.principal(name, "admin", **overrides), address=SECP)
    )()


async def test_a_signer_that_is_away_or_of_another_make_is_told_apart(web, signer, token, monkeypatch):
    with pytest.raises(SignerAway):
        await policy_read("alice")

    monkeypatch.setattr("workers.signer.gateway.POLICY_METHODS", ())  # as venus-wallet, which knows no policy
    async with connected(signer, web, token):
        with pytest.raises(SignerRefused, match="does not support policy requests"):
            await policy_read("alice")


async def test_an_answer_that_is_no_policy_is_refused(web, signer, token, monkeypatch):
    async def answer(_session: Any, method: str, payload: Any) -> Any:
        return {"v": 1, "text": 7} if method.startswith("Policy") else await real(_session, method, payload)

    real = GatewaySession.answer
    monkeypatch.setattr(GatewaySession, "answer", answer)
    async with connected(signer, web, token):
        with pytest.raises(SignerRefused, match="the signer's response could not be parsed"):
            await policy_read("alice")


async def test_a_person_below_admin_changes_nothing(web, signer, token):
    await in_thread(lambda: people.person("ann", role="TENANT"))()
    await in_thread(lambda: people.person("bill", of="bob", role="TENANT_ADMIN"))()

    def try_to() -> None:
        ann, bill, page = signed_in("ann"), signed_in("bill"), f"/wallets/{SECP}/policy/"
        assert ann.get(page).status_code == 200
        assert "Add a rule" not in text_of(ann.get(page))
        assert bill.get(page).status_code == 404
        for path in ("rule/", "text/", "remove/", "save/"):
            assert ann.post(page + path).status_code == 404
            assert bill.post(page + path).status_code == 404
        assert ann.post(f"{page}try/", {"json": "{"}).status_code == 422

    async with connected(signer, web, token):
        await in_thread(try_to)()
    edit = PolicyEdit(op=REMOVE, name="blocks")
    with pytest.raises(SignerAway):
        await in_thread(lambda: policies.policy_draft_make(people.principal(), address=SECP, edit=edit))()
    assert (signer.folder / "policy.toml").read_text() == DEFAULT
