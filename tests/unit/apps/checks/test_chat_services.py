"""Chat services get a text in the body that each wants, and what they refuse counts as not delivered."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from apps.checks.models import Notification
from apps.checks.services.alerts import alerts_update
from apps.checks.services.channels import channel_test
from apps.checks.services.chat import SERVICES, TEXT_MAX
from apps.checks.services.deliver import notifications_deliver
from apps.users.rules.principals import SYSTEM
from tests.alerts import T0, Hook, channel, report_of

pytestmark = pytest.mark.django_db


def robot(body: Any) -> Any:
    """As DingTalk answers with the keyword Poolsite, and WeCom with any."""
    if body.get("msgtype") != "text" or "Poolsite" not in body["text"]["content"]:
        return {"errcode": 310000, "errmsg": "keywords not in content"}
    return {"errcode": 0, "errmsg": "ok"}


def feishu(body: Any) -> Any:
    if body.get("msg_type") != "text":
        return {"code": 19002, "msg": "params error, msg_type need", "data": {}}
    if "Poolsite" not in body["content"]["text"]:
        return {"code": 19024, "msg": "Key Words Not Found", "data": {}}
    return {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


def feishu_before(body: Any) -> Any:
    """As it answered before `code` came."""
    return {"StatusCode": feishu(body)["code"], "StatusMessage": "success"}


def telegram(body: Any) -> Any:
    if not body.keys() <= {"text"}:
        return {"ok": False, "error_code": 400, "description": "Bad Request: unknown parameter"}
    return {"ok": True, "result": {"message_id": 7}}


def discord(_body: Any) -> Any:
    return None


WEBHOOKS = {
    "oapi.dingtalk.com/robot/send?access_token=x": robot,
    "qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x": robot,
    "open.feishu.cn/open-apis/bot/v2/hook/x": feishu,
    "open.larksuite.com/open-apis/bot/v2/hook/x": feishu_before,
    "discord.com/api/webhooks/7/x": discord,
    "discordapp.com/api/v10/webhooks/7/x": discord,
    "api.telegram.org/bot7:x/sendMessage?chat_id=-100": telegram,
}


@pytest.fixture(autouse=True)
def every_host_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *more: found("127.0.0.1", *more))


def url_of(hook: Hook, webhook: str) -> str:
    """The URL of a webhook at our server."""
    host, _, path = webhook.partition("/")
    return f"http://{host}:{hook.server.server_port}/{path}"


def answer_with(hook: Hook, answer: Callable[[Any], Any]) -> None:
    hook.answer = lambda body: json.dumps(answer(json.loads(body))).encode()


def text_in(body: Any) -> str:
    """The longest text of a body, however deep."""
    return max(map(text_in, body.values()), key=len) if isinstance(body, dict) else str(body)


def sent(hook: Hook, webhook: str, say: str = "") -> Notification:
    """What became of an alert for this webhook."""
    channel(target=url_of(hook, webhook))
    alerts_update(report=report_of("fee_debt"), pool="mainnet", now=T0)
    if say:
        Notification.objects.update(text=say)
    notifications_deliver(now=lambda: T0)
    return Notification.objects.get()


def test_each_service_of_the_table_has_a_webhook_here() -> None:
    assert {webhook.partition("/")[0] for webhook in WEBHOOKS} == SERVICES.keys()


@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_chat_service_takes_the_text_and_its_page(hook: Hook, webhook: str, settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    answer_with(hook, WEBHOOKS[webhook])

    row = sent(hook, webhook)

    assert (row.error, row.delivered_at) == ("", T0)
    assert hook.requests == [f"POST /{webhook.partition('/')[2]}"]
    lines = text_in(hook.bodies[0]).splitlines()
    assert lines == ["Poolsite: [mainnet] Critical: fee_debt is wrong", "https://pool.example/miners/"]


@pytest.mark.parametrize("webhook", [name for name, answer in WEBHOOKS.items() if answer in (robot, feishu)])
def test_test_notification_has_the_keyword(hook: Hook, webhook: str) -> None:
    answer_with(hook, WEBHOOKS[webhook])
    channel_test(principal=SYSTEM, channel=channel(target=url_of(hook, webhook)), now=T0)

    assert notifications_deliver(now=lambda: T0) == 1


@pytest.mark.parametrize(
    ("webhook", "status", "answer", "error"),
    [
        (
            "oapi.dingtalk.com/robot/send?access_token=x",
            200,
            {"errcode": 310000, "errmsg": "sign not match"},
            "refused: sign not match, 310000",
        ),
        (
            "qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x",
            200,
            {"errcode": 93000, "errmsg": "invalid webhook url"},
            "refused: invalid webhook url, 93000",
        ),
        (
            "open.feishu.cn/open-apis/bot/v2/hook/x",
            200,
            {"code": 19024, "msg": "Key Words Not Found", "data": {}},
            "refused: Key Words Not Found, 19024",
        ),
        ("open.larksuite.com/open-apis/bot/v2/hook/x", 200, ["down"], "unexpected response"),
        (
            "api.telegram.org/bot7:x/sendMessage?chat_id=1",
            400,
            {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"},
            "HTTP status 400: Bad Request: chat not found, 400",
        ),
        (
            "discord.com/api/webhooks/7/x",
            404,
            {"message": "Unknown Webhook", "code": 10015},
            "HTTP status 404: Unknown Webhook, 10015",
        ),
    ],
)
def test_what_a_chat_service_refuses_is_not_delivered(
    hook: Hook, webhook: str, status: int, answer: Any, error: str
) -> None:
    hook.status = status
    answer_with(hook, lambda _body: answer)

    row = sent(hook, webhook)

    assert (row.delivered_at, row.error) == (None, error)
    assert row.next_try_at is not None


@pytest.mark.parametrize("webhook", WEBHOOKS)
def test_long_text_is_cut_and_keeps_its_page(hook: Hook, webhook: str, settings: Any) -> None:
    settings.CONSOLE_URL = "https://pool.example"
    answer_with(hook, WEBHOOKS[webhook])

    row = sent(hook, webhook, say="矿" * 1000)

    text = text_in(hook.bodies[0])
    assert row.delivered_at == T0
    assert TEXT_MAX - 3 < len(text.encode()) <= TEXT_MAX
    assert text.endswith("矿…\nhttps://pool.example/miners/")


def test_discord_notifies_nobody_whom_a_text_names(hook: Hook) -> None:
    sent(hook, "discord.com/api/webhooks/7/x", say="host @everyone is away")

    assert hook.bodies[0]["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize(
    "webhook", ["discord.com/api/webhooks/7/x/slack", "open.feishu.cn/open-apis/other", "chat.test/hook"]
)
def test_other_webhooks_get_the_whole_body(hook: Hook, webhook: str) -> None:
    row = sent(hook, webhook)

    assert row.delivered_at == T0
    assert hook.bodies == [row.body]
