"""`poolsite`: what its table declares, how a line is read, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from drf_spectacular.generators import SchemaGenerator

from poolsite.command.acts import acts_markdown, acts_of, acts_read
from poolsite.command.main import command_of, poolsite
from poolsite.command.output import shown
from poolsite.compat.pool import Pool, Unanswered
from poolsite.compat.verb import Refused
from tests.servers import SITE

ADDRESS = "https://pool.example"


@pytest.fixture(autouse=True)
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's login, and no pool of this machine."""
    for name in ("POOLSITE_URL", "POOLSITE_TOKEN", "POOLSITE_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "login.json"
    path.write_text(json.dumps({"url": ADDRESS, "token": "secret"}))
    monkeypatch.setenv("POOLSITE_LOGIN", str(path))
    monkeypatch.setenv("POOLSITE_VAR", str(tmp_path))
    return path


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    """What is sent to a pool that answers each request with its path."""
    found: list[tuple[str, str, dict[str, Any]]] = []

    def call(pool: Pool, method: str, path: str, **given: Any) -> Any:
        assert (pool.url, pool.token) == (ADDRESS, "secret")
        found.append((method, path, given))
        return {"path": path, "actor": "token pool/olga", "level": "admin"}

    monkeypatch.setattr(Pool, "call", call)
    return found


def run(*words: str) -> Result:
    return CliRunner().invoke(poolsite, list(words))


def test_the_table_is_that_of_the_document() -> None:
    """Else run `manage.py command_acts > poolsite/command/acts.json` and `make docs`."""
    acts = acts_of(SchemaGenerator().get_schema(request=None, public=True))

    assert acts_read() == acts
    assert (SITE / "docs" / "commands.md").read_text() == acts_markdown(acts)
    assert len({(act.noun, act.verb) for act in acts}) == len(acts) > 250


def test_every_command_has_help_and_no_option_twice() -> None:
    for act in acts_read():
        names = [parameter.name for parameter in command_of(act).params]
        assert len(set(names)) == len(names), act
        assert run(act.noun, act.verb, "--help").exit_code == 0, act


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("tokens list", "GET tokens"),
        ("checks list", "GET checks"),
        ("money list", "GET money"),
        ("sectors show", "GET sectors/{uuid}"),
        ("sectors retry", "POST sectors/{uuid}/retry"),
        ("sectors snap-up", "POST sectors/{uuid}/snap-up"),
        ("sectors snap-up-many", "POST sectors:snap-up"),
        ("sectors remove-files", "POST sectors/{uuid}/remove-files"),
        ("sectors state-set", "PUT sectors/{uuid}/state"),
        ("miners withdrawals-create", "POST miners/{address}/withdrawals"),
        ("miners adoptions", "GET miners/{address}/adoptions"),
        ("miners adoptions-remove", "DELETE miners/{address}/adoptions/{uuid}"),
        ("chain nodes-test", "POST chain/nodes:test"),
        ("status maintenance-create", "POST status/maintenance"),
        ("approval-rules removal-create", "POST approval-rules/{uuid}/removal"),
    ],
)
def test_a_command_is_called_after_its_path(name: str, request_: str) -> None:
    names = {f"{act.noun} {act.verb}": f"{act.method} {act.path}" for act in acts_read()}

    assert names.get(name) == request_


def test_options_become_the_body_and_the_query(sent: list[Any]) -> None:
    done = run(
        *("miners", "withdrawals-create", "f01004", "--amount", "5 FIL", "--dry-run"),
    )

    assert done.exit_code == 0, done.output
    ((method, path, given),) = sent
    assert (method, path) == ("POST", "/api/v1/miners/f01004/withdrawals")
    assert (given["params"], given["json"]) == ({"dry_run": True}, {"amount": "5 FIL"})
    assert len(given["headers"]["Idempotency-Key"]) == 32


def test_a_part_of_a_path_stays_one(sent: list[Any]) -> None:
    run("tokens", "show", "../miners")

    assert sent[0][1] == "/api/v1/tokens/..%2Fminers"


def test_the_body_may_come_from_a_file(sent: list[Any], tmp_path: Path) -> None:
    (tmp_path / "message.json").write_text('{"id": "a", "to": "f01", "value": "1", "method": 0}')

    done = run(
        "messages", "create", "--body", f"@{tmp_path}/message.json", "--value", "2", "--from", "f3a", "--yes"
    )

    assert done.exit_code == 0, done.output
    assert sent[0][2]["json"] == {
        "id": "a",
        "to": "f01",
        "value": "2",
        "method": 0,
        "from": "f3a",
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("tokens remove 5", "cannot be undone: add --yes"),
        ("sectors terminate f01004-1", "cannot be undone: add --yes"),
        ("sectors rebuild-abort f01004-1 --reason old", "cannot be undone: add --yes"),
        ("sectors state-set f01004-1 --state ABORTED --reason old", "cannot be undone: add --yes"),
        ("messages mark-bad 5", "cannot be undone: add --yes"),
        ("miners roles-remove f01004 --host a --kind seal", "cannot be undone: add --yes"),
        ("messages create --id a --method 0 --from f01 --to f02", "cannot be undone: add --yes"),
        ("messages push --id a --method 0 --from f01 --to f02", "cannot be undone: add --yes"),
        ("miners sectors-create f01004 --count 3", "cannot be undone: add --yes"),
        ("sectors pledge f01004 --count 3", "cannot be undone: add --yes"),
        ("workers commands-create 5 --op retire", "cannot be undone: add --yes"),
        ('workers commands-create 5 --body {"op":"retire"}', "cannot be undone: add --yes"),
        ("messages create --body [1]", "is no JSON object"),
        ("tenants create", "missing: --name"),
        ("messages create --body {", "is not JSON"),
        ("messages create --body @/nowhere", "cannot be read: No such file"),
        ("messages create --method five", "not a valid integer"),
        ("sectors list --state NOTHING", "is not one of"),
        ("nothing list", "No such command"),
    ],
)
def test_a_wrong_line_sends_nothing(line: str, why: str, sent: list[Any]) -> None:
    done = run(*line.split())

    assert (done.exit_code, why in done.output, sent) == (2, True, []), done.output


def test_yes_does_what_cannot_be_undone(sent: list[Any]) -> None:
    assert run("tokens", "remove", "5", "--yes").exit_code == 0
    assert sent[0][:2] == ("DELETE", "/api/v1/tokens/5")


def test_what_can_be_undone_asks_nothing(sent: list[Any]) -> None:
    assert run("workers", "commands-create", "5", "--op", "drain").exit_code == 0
    assert run("alerts", "acknowledge", "5", "--hours", "4").exit_code == 0
    assert [place[:2] for place in sent] == [
        ("POST", "/api/v1/workers/5/commands"),
        ("PUT", "/api/v1/alerts/5/acknowledgement"),
    ]


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody at a terminal."""
    monkeypatch.setattr("poolsite.command.main.is_interactive", lambda: True)


def test_a_person_sees_what_it_would_do_and_is_asked(person: None, sent: list[Any]) -> None:
    line = ["miners", "withdrawals-create", "f01004", "--amount", "5"]

    refused = CliRunner().invoke(poolsite, line, input="n\n")
    done = CliRunner().invoke(poolsite, line, input="y\n")

    assert (refused.exit_code, done.exit_code) == (1, 0), done.output
    assert f"miners withdrawals-create f01004 at {ADDRESS}: go on?" in done.output
    assert [given["params"] for _, _, given in sent] == [{"dry_run": True}, {"dry_run": True}, {}]
    # a key that was used for the trial would be refused for the act
    assert ["Idempotency-Key" in given["headers"] for _, _, given in sent] == [False, False, True]


def test_without_an_answer_the_key_is_named_by_which_it_is_done_once(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    line = ("tenants", "create", "--name", "carol")
    run(*line, "--idempotency-key", "k-1")
    used: list[str] = []

    def lost(*_: Any, headers: dict[str, str], **__: Any) -> None:
        used.append(headers["Idempotency-Key"])
        raise Unanswered("no answer")

    monkeypatch.setattr(Pool, "call", lost)
    refused = run(*line)

    assert sent[0][2]["headers"] == {"Idempotency-Key": "k-1"}
    assert type(refused.exception) is Unanswered
    assert f"--idempotency-key {used[0]} " in str(refused.exception)


def test_a_line_that_names_several_sends_a_request_for_each(
    monkeypatch: pytest.MonkeyPatch, sent: list[Any]
) -> None:
    line = ["sectors", "retry", "f01004-1", "f01004-2", "f01004-3"]
    assert run(*line).exit_code == 0
    keys = {given["headers"]["Idempotency-Key"] for _, _, given in sent}
    assert [path.split("/")[4] for _, path, _ in sent] == line[2:]
    assert len(keys) == 3, "each is done once"

    def refused(_pool: Pool, _method: str, path: str, **_: Any) -> Any:
        if "1004-2" in path:
            raise Refused("it is proving")
        return {"path": path}

    monkeypatch.setattr(Pool, "call", refused)
    told = run(*line)
    assert (told.exit_code, told.stdout.count("f01004-")) == (1, 2), "the others are done"
    assert "poolsite: f01004-2: it is proving" in told.stderr

    tried: list[str] = []

    def lost(_pool: Pool, _method: str, path: str, **_: Any) -> Any:
        tried.append(path)
        raise Unanswered("no answer")

    monkeypatch.setattr(Pool, "call", lost)
    ended = run(*line, "--idempotency-key", "k-1")
    assert "--idempotency-key k-1 to the same line" in str(ended.exception)
    assert len(tried) == 1


def test_all_reads_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {None: {"results": [{"n": 1}], "next": "b"}, "b": {"results": [{"n": 2}], "next": None}}
    monkeypatch.setattr(Pool, "call", lambda *_, params, **_kept: pages[params.get("cursor")])

    assert json.loads(run("--json", "sectors", "list", "--all").output) == [{"n": 1}, {"n": 2}]
    assert json.loads(run("sectors", "list", "--all", "--json").output) == [{"n": 1}, {"n": 2}]
    assert run("sectors", "list").output == "n\n1\nThere are more: --all\n"


def test_the_login_goes_to_its_own_pool_alone(sent: list[Any]) -> None:
    done = run("--pool", "https://other.example", "tokens", "list")

    assert isinstance(done.exception, Refused)
    assert (str(done.exception), sent) == (
        "no token for https://other.example is known: pass --pool-token-file, or set POOLSITE_TOKEN_FILE",
        [],
    )


def test_a_token_without_an_address_goes_to_that_of_the_login(sent: list[Any], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "operator.json").write_text(json.dumps({"url": "http://127.0.0.1:1", "admin_token": "own"}))

    assert run("--pool-token-file", str(tmp_path / "token"), "tokens", "list").exit_code == 0
    assert len(sent) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"url": "https://pool.example"}', '{"url": 5, "token": 5}'])
def test_a_login_that_cannot_be_read_means_no_other_pool(text: str, login: Path, sent: list[Any]) -> None:
    login.write_text(text)
    (login.parent / "operator.json").write_text(json.dumps({"url": ADDRESS, "admin_token": "secret"}))

    refused = run("tokens", "list")

    assert isinstance(refused.exception, Refused)
    assert ("run poolsite login again" in str(refused.exception), sent) == (True, [])


def test_a_token_that_cannot_be_sent_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("secret\rtoken", "sécret"):
        monkeypatch.setenv("POOLSITE_TOKEN", token)
        refused = run("tokens", "list")
        assert isinstance(refused.exception, Refused)
        assert "cret" not in str(refused.exception)


def test_a_login_in_clear_is_warned_of_each_time(login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "call", lambda *_, **__: {"actor": "ann", "level": "read"})
    address = "http://pool.example"
    (login.parent / "token").write_text("secret")

    told = run("login", address, "--token-file", str(login.parent / "token"))
    again = run("tokens", "list")

    for done in (told, again):
        assert f"the token goes to {address} in clear" in done.output


def test_a_login_is_kept_once_the_pool_takes_it(sent: list[Any], login: Path, tmp_path: Path) -> None:
    login.unlink()
    (tmp_path / "token").write_text("secret\n")

    done = run("login", f"{ADDRESS}/", "--token-file", str(tmp_path / "token"))

    assert done.exit_code == 0, done.output
    assert json.loads(login.read_text()) == {"url": ADDRESS, "token": "secret"}
    assert login.stat().st_mode & 0o077 == 0
    assert run("logout").output == "The login is forgotten.\n"
    assert not login.exists()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"results": [], "next": None}, "none"),
        (
            [{"name": "a", "on": True, "of": []}, {"name": "long", "on": None, "of": [1]}],
            "name  on\na     yes\nlong  -",
        ),
        ({"name": "a", "parts": [1]}, "name   a\nparts  [1]"),
        ([{"text": "x" * 80}], "text\n" + "x" * 59 + "…"),
        ([{"text": "a\nb"}], "text\na b"),
        ({"text": "\x1b[2Ja\nb"}, "text  �[2Ja\nb"),
    ],
)
def test_answers_are_printed_for_people(answer: Any, text: str) -> None:
    assert shown(answer) == text


def test_completion_prints_a_script() -> None:
    assert "_POOLSITE_COMPLETE=bash_complete" in run("completion", "bash").output
