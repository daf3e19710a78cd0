"""Channels by apprise: services of a list alone, in a process that reaches nothing else, without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.conf import settings as configured
from django.urls import reverse
from structlog.testing import capture_logs

from apps.checks.models import AlertChannel, Notification
from apps.checks.selectors.alerts import target_shown
from apps.checks.services import push
from apps.checks.services.channels import channel_edit, channel_test
from apps.checks.services.deliver import notifications_deliver
from apps.checks.services.push_services import PARTS_MAX, PUSH_SERVICES, push_url_find
from apps.checks.states import ChannelKind
from apps.core.errors import BadValue
from apps.core.reasons import code_of
from apps.users.models import AuditEntry
from apps.users.rules.encryption import text_decrypt
from apps.users.rules.principals import SYSTEM
from tests.alerts import T0, channel
from tests.page_client import signed_in, text_of
from tests.people import operator_person, tenant
from tests.push_targets import PARTS, POVER, target_of

CODES = {"pushplus": 200, "wxpusher": 1000}
"""Code of a success, where it is not 0."""
FAKE = """
import json, os, runpy, socket, sys, time
said = json.loads(sys.argv[1])
if "hangs" in said:
    time.sleep(60)
if "resolves" in said:
    def resolve(host, port, *args, **kwargs):
        if not said["resolves"]:
            raise socket.gaierror(-2, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (said["resolves"], port))]
    socket.getaddrinfo = resolve
else:
    import requests
    from requests.adapters import HTTPAdapter
    def send(self, request, **kwargs):
        answer = requests.Response()
        answer.status_code, answer._content, answer.request = said["status"], said["answer"].encode(), request
        os.write(said["fd"], f"{request.url} {request.body}\\n".encode())
        return answer
    HTTPAdapter.send = send
runpy.run_module("apps.checks.services.push_child", run_name="__main__")
"""
GUARDED = """
import socket, sys
from apps.checks.services.push_child import Guard, Refused
real = socket.getaddrinfo
guard = Guard({"api.pushover.net"})
guard._resolve = lambda host, port, *args, **kwargs: [(2, 1, 6, "", ("127.0.0.1", port))]
guard.shut()
try:
    exec(sys.stdin.read())
except Refused:
    print("refused:", *(guard.refused or [("private",)])[0])
else:
    print("done")
"""


def guarded(attempt: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", GUARDED],
        input=attempt,
        capture_output=True,
        text=True,
        check=True,
        cwd=configured.BASE_DIR,
        timeout=60,
    )
    return done.stdout.strip()


def sent(url: str = POVER, text: str = "2 wins lost") -> str:
    row = Notification(
        channel=AlertChannel(), event="STARTED", text=text, body={"page": "https://pool.example/alerts/"}
    )
    return push.push_send(row, url=url)


def test_every_service_reads_its_own_url_as_apprise_does() -> None:
    assert {one.name for one in PUSH_SERVICES} == PARTS.keys()
    for service in PUSH_SERVICES:
        target = target_of(service.name)
        assert push_url_find(target.url) == target
        assert push_url_find(f"{target.url}/") == target
        module, name = service.plugin.split(":")
        plugin = getattr(import_module(f"apprise.plugins.{module}"), name)
        found = plugin.parse_url(target.apprise_url)
        assert found is not None
        assert plugin(**found) is not None  # it refuses parts that it does not take
        assert len(service.parts) <= PARTS_MAX


@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1/",
        "syslog://",
        "file:///etc/passwd",
        "ntfy://ntfy.example/topic",
        "mailto://me:secret@example.com",
        "https://api.pushover.net/",
        f"{POVER}?overflow=split",
        f"{POVER}#x",
        f"{POVER}/device",
        f"{POVER}:8080",
        "pover://{}@127.0.0.1".format(PARTS["pushover"][0]),
        "slack://T1JJ3T3L2/B1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23ops",
        "slack://evil.example/B1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "discord://123/..%2F..%2Fapi",
        "tgram://123:abc@evil.example/-100",
        "pbul://o.a bc",
        "a-token-without-its-service",
        "",
    ],
)
@pytest.mark.django_db
def test_what_is_not_exactly_a_service_of_the_list_is_refused_by_name(url: str) -> None:
    with pytest.raises(BadValue) as refusal:
        channel("phone", kind=ChannelKind.APPRISE, target=url)
    assert refusal.value.field == "target"
    scheme = url.partition(":")[0]
    assert f"{scheme}://" in refusal.value.reason or "://" not in url
    assert "a-token" not in refusal.value.reason
    assert not AlertChannel.objects.exists()


@pytest.mark.parametrize(
    ("attempt", "what"),
    [
        ("socket.create_connection(('evil.example', 443))", "socket.getaddrinfo evil.example"),
        ("real('evil.example', 443)", "socket.getaddrinfo evil.example"),
        ("socket.gethostbyname('evil.example')", "socket.gethostbyname"),
        ("socket.create_connection(('api.pushover.net', 443))", "private"),
        ("socket.socket().connect(('127.0.0.1', 443))", "socket.connect ('127.0.0.1', 443)"),
        (
            "guard.addresses.add('1.1.1.1'); socket.socket().connect(('1.1.1.1', 80))",
            "socket.connect ('1.1.1.1', 80)",
        ),
        ("socket.socket(socket.AF_UNIX).connect('/run/docker.sock')", "socket.connect /run/docker.sock"),
        ("socket.socket(2, 2).sendto(b'x', ('127.0.0.1', 53))", "socket.sendto"),
        ("open('/etc/passwd')", "open /etc/passwd"),
        ("open('manage.py')", "open manage.py"),
        ("open(sys.prefix + '/../../etc/hostname')", "open "),
        ("open('/tmp/left', 'w')", "open /tmp/left"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import os; os.system('true')", "os.system"),
        ("import os; os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn"),
        ("import os; os.remove('/tmp/left')", "os.remove"),
    ],
)
def test_sending_process_refuses_all_but_its_service(attempt: str, what: str) -> None:
    assert guarded(attempt).startswith(f"refused: {what}")


def test_code_of_the_process_stays_readable() -> None:
    assert guarded("import colorsys, apprise.plugins.prowl") == "done"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """The network as the sending process sees it."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    run = subprocess.run
    started: list[Any] = []

    def run_with_pipe(command: Any, **kwargs: Any) -> Any:
        started.append((command, kwargs["env"]))
        return run(command, **kwargs, pass_fds=[writer])

    monkeypatch.setattr(subprocess, "run", run_with_pipe)
    yield Network(monkeypatch, reader, writer, started)
    os.close(reader)
    os.close(writer)


@dataclass(frozen=True)
class Network:
    monkeypatch: pytest.MonkeyPatch
    reader: int
    writer: int
    started: list[Any]

    def says(self, **said: Any) -> None:
        """Answer like this from now on."""
        given = json.dumps({"fd": self.writer, **said})
        self.monkeypatch.setattr(push, "CHILD", (sys.executable, "-c", FAKE, given))

    @property
    def requests(self) -> list[str]:
        with suppress(BlockingIOError):
            return os.read(self.reader, 65536).decode().splitlines()
        return []


@pytest.mark.parametrize("name", PARTS)
def test_each_service_gets_the_text_at_its_own_host(name: str, network: Network) -> None:
    answer = "ok" if name == "slack" else json.dumps({"ok": True, "code": CODES.get(name, 0)})
    network.says(status=200, answer=answer)
    target = target_of(name)
    assert sent(target.url, "2 wins lost by @everyone") == ""
    (request,) = network.requests
    assert request.startswith(f"https://{next(iter(target.service.hosts))}/")
    assert "wins" in request
    assert ("@everyone" in request.replace("%40", "@")) is not target.service.pings


def test_long_text_is_cut_to_what_the_service_takes(network: Network) -> None:
    network.says(status=200, answer="{}")
    assert sent(POVER, "x" * 5000) == ""
    (request,) = network.requests
    assert 900 < request.count("x") <= 1150
    assert "pool.example" in request


def test_title_says_what_is_wrong_and_the_text_where_and_the_cost(network: Network) -> None:
    body = {
        "title": "No win is lost",
        "since": T0.isoformat(),
        "findings": ["f01000 lost 2 wins"],
        "per_day": str(7 * 10**18),
        "page": "https://pool.example/blocks/",
    }
    row = Notification(
        channel=AlertChannel(), event="STARTED", text="[mainnet] Critical: 2 wins lost", body=body
    )
    network.says(status=200, answer="")

    assert push.push_send(row, url=target_of("discord").url) == ""

    content = json.loads(network.requests[0].partition(" ")[2])["content"]
    assert "[mainnet] Critical: 2 wins lost" in content.splitlines()[0]
    assert "- f01000 lost 2 wins" in content
    assert content.endswith("7.0000 FIL lost per day\nhttps://pool.example/blocks/")
    body["findings"] = [f"f0{number} lost 2 wins" for number in range(1000, 1100)]
    row.text = f"[mainnet] Critical: {'2 wins lost; ' * 20}(acknowledged by ann)"
    network.says(status=200, answer=json.dumps({"code": CODES["pushplus"]}))

    assert push.push_send(row, url=target_of("pushplus").url) == ""

    *_, long = network.requests
    assert '2\\xe2\\x80\\xa6", "content"' in long, "its title is cut"
    assert "(acknowledged&nbsp;by&nbsp;ann)<br/>" in long
    assert "7.0000&nbsp;FIL&nbsp;lost&nbsp;per&nbsp;day<br/>https://pool.example/blocks/" in long


def test_long_text_for_discord_fits_with_its_title_and_what_calls_nobody(network: Network) -> None:
    network.says(status=200, answer="")
    assert sent(target_of("discord").url, "@x" * 2000) == ""
    (request,) = network.requests
    content = json.loads(request.partition(" ")[2])["content"]
    assert 1000 < len(content) <= 2000
    assert "@x" not in content
    assert content.endswith("https://pool.example/alerts/")


def test_failure_says_why_without_a_part_of_the_url(network: Network) -> None:
    user, token = PARTS["pushover"]
    answer = {"errors": [f"token {token.upper()} is invalid", f"no device of {user} ({token[:12]})"]}
    network.says(status=400, answer=json.dumps(answer))
    reason = sent()
    assert reason == "HTTP status 400: ['token … is invalid', 'no device of … (…)']"
    assert code_of(reason) == "checks.status_said"
    network.says(status=200, answer=json.dumps({"ok": False, "error": "invalid_auth"}))
    assert sent(target_of("slack-bot").url) == "refused: invalid_auth"
    network.says(status=500, answer="")
    assert sent() == "HTTP status 500"
    network.says(resolves="")
    assert sent() == "no response: the host's name cannot be resolved"
    network.says(resolves="192.168.0.7")
    assert sent() == "its host has no public address"
    network.says(status=302, answer="")
    assert sent() == "HTTP status 302"
    assert all(env == {"LANG": "C.UTF-8"} for _, env in network.started)


def test_process_that_takes_too_long_is_ended(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "LIMIT_S", 0.5)
    network.says(hangs=True)
    assert sent() == "no response: timed out"
    monkeypatch.setattr(push, "CHILD", (sys.executable, "-c", "raise SystemExit(7)"))
    monkeypatch.setattr(push, "LIMIT_S", 15.0)
    assert sent() == "its sending process ended with status 7"


@pytest.mark.django_db
def test_channel_keeps_its_url_to_itself(network: Network) -> None:
    token = PARTS["pushover"][1]
    row = channel("phone", kind=ChannelKind.APPRISE, target=f"{POVER}/", secret="not used")
    assert text_decrypt(row.target) == POVER
    assert token not in row.target
    assert row.secret == ""
    assert target_shown(row) == "pover://…"
    channel_edit(principal=SYSTEM, channel=row, target=target_of("telegram").url, secret="nor this")
    row.refresh_from_db()
    assert target_shown(row) == "tgram://…"
    assert row.secret == ""
    network.says(status=401, answer=json.dumps({"description": PARTS["telegram"][0]}))
    channel_test(principal=SYSTEM, channel=row, now=T0)
    with capture_logs() as logs:
        notifications_deliver(now=lambda: T0)
    note = Notification.objects.get()
    assert note.error == "HTTP status 401: …"
    kept = f"{logs} {list(AuditEntry.objects.values())} {note.error_coded}"
    assert not any(part in kept for name in ("pushover", "telegram") for part in PARTS[name])
    network.says(status=200, answer='{"ok": true}')
    notifications_deliver(now=lambda: T0 + timedelta(hours=1))
    assert Notification.objects.get().delivered_at is not None


@pytest.mark.django_db
def test_page_has_each_services_own_fields(network: Network) -> None:
    client = signed_in(operator_person().username)
    new = reverse("alert-channel-new")
    assert "Pushover" in text_of(client.get(new))
    page = client.get(f"{new}?service=pushover").content.decode()
    assert 'name="part_2"' in page
    assert 'name="part_3"' not in page
    assert 'name="kind"' not in page
    user, token = PARTS["pushover"]
    given = {"service": "pushover", "name": "phone", "part_1": user, "part_2": "short", "repeat_s": 3600}
    refused = client.post(new, given)
    assert "enter it as Pushover gives it" in text_of(refused)
    assert 'value="phone"' in refused.content.decode()
    assert user not in refused.content.decode()
    assert not AlertChannel.objects.exists()
    assert client.post(new, {**given, "part_2": f" {token} "}).status_code == 302
    assert text_decrypt(AlertChannel.objects.get().target) == POVER
    listed = client.get(reverse("alerts")).content.decode()
    assert "pover://…" in listed
    assert token not in listed
    assert client.get(f"{new}?service=none").status_code == 200


@pytest.mark.django_db
def test_tenants_add_services_by_the_same_form(network: Network) -> None:
    owner = tenant()
    new = reverse("tenant-channel-new", args=[owner.uuid])
    client = signed_in(operator_person().username)
    (token,) = PARTS["serverchan"]
    given = {"service": "serverchan", "name": "phone", "part_1": token, "repeat_s": 3600}
    assert 'name="part_1"' in client.get(f"{new}?service=serverchan").content.decode()
    assert client.post(new, given).status_code == 302
    assert AlertChannel.objects.get().tenant == owner
