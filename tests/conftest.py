"""One throw-away PostgreSQL for the whole run, migrated once, started only if a test wants it.

With xdist the controller starts it and the workers inherit its address; each worker's test database is
a copy of the migrated template.  Settings are read before this file (pytest-django does it first), so
the address is put into the connection's settings by fixture, not by environment.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg2
import pytest
import structlog
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.mail import EmailMessage
from django.db import connections, transaction
from django.db.models.sql.compiler import SQLCompiler
from django.template import Template
from django.test import TransactionTestCase

from apps.chain.node.connections import Connections
from apps.chain.node.link import NodeLink
from apps.checks.report import cache as cache_of_reports
from apps.core import clock
from apps.core.event_loops import LoopThread
from apps.core.redis_clients import client_for
from apps.gateway.hub.blocking_client import requests_send
from apps.miners.selectors import deal_reach
from apps.pieces.data.sources import url_connect
from tests import kept_kernels
from tests.audit_routes import AUDITED
from tests.audit_rules import CheckedLines
from tests.fast_flush import fixture_teardown
from tests.left_to_soak import is_left
from tests.lock_order import HELD, LockOrder
from tests.notes import notes_write
from tests.open_transactions import is_transaction_open
from tests.quick import is_long
from tests.schedule import Schedule, place
from tests.servers import TEMPLATE, PostgresServer, RedisServer
from tests.service_units import WATCHED, ServiceUnits
from tests.shared_reports import WITH_FINDINGS, nothing_found
from tests.timing import is_timing
from tests.two_at_once import besides

if TYPE_CHECKING:
    from pytest_django import DjangoDbBlocker

ASKED_BY_NAME = (
    ("apps.gateway.services.signatures.requests_send", requests_send),
    ("apps.pieces.data.sources.url_connect", url_connect),
    ("apps.pieces.data.destinations.url_connect", url_connect),
    ("apps.miners.selectors.deal_reach._try", deal_reach._try),
)
"""Functions that begin a request to others, by where modules have imported them under their name."""
ADDRESS = "POOLSITE_TEST_PGHOST"
REPORT_STORED = cache_of_reports.report_stored
SITE = Path(__file__).resolve().parents[1]

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""The hundreds of processes that tests start compile our sources once, and not each anew: 3 s of a core."""
kept_kernels.use()
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")  # a machine may stand still for seconds


def pytest_configure(config: pytest.Config) -> None:
    """With xdist, start the server in the controller: several workers must share one."""
    TransactionTestCase._fixture_teardown = fixture_teardown  # type: ignore[attr-defined]  # Django's own
    config.args.sort(key=folders_first)
    is_worker = hasattr(config, "workerinput")
    is_parallel = bool(config.getoption("numprocesses", None))
    if is_parallel and not is_worker and not config.option.collectonly and ADDRESS not in os.environ:
        with contextlib.suppress(OSError):
            kept_kernels.tidy()
        server = PostgresServer()
        config.add_cleanup(server.stop)
        server.start()
        os.environ[ADDRESS] = str(server.sockets)


@pytest.hookimpl(optionalhook=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write what tests have to tell although they passed."""
    notes_write(terminalreporter)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep files whole where tests are given out by group."""
    return Schedule(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Look for no garbage in what stays until the end: a quarter of collecting, half a second each time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what meets a clock, what takes seconds, and what is left to `make soak`."""
    if is_left(item.nodeid):
        item.add_marker(pytest.mark.slow)
    if is_timing(item.nodeid):
        item.add_marker(pytest.mark.timing)
    if is_long(item.nodeid):
        item.add_marker(pytest.mark.long)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side the longest begin."""
    if hasattr(config, "workerinput"):
        items.sort(key=place)


def folders_first(argument: str) -> tuple[tuple[bool, str], ...]:
    """Return the place of an argument among others: files in a folder come before the folder's own.

    pytest 9.1 reads a folder anew for each file that is named, and then no longer knows the fixtures of
    the conftest of a folder in it that it had read before.
    """
    path = Path(argument.partition("::")[0]).absolute()
    return tuple((folder.is_file(), folder.name) for folder in (*reversed(path.parents), path))


@pytest.fixture(autouse=True)
def _audit_lines(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold the lines of the tests that drive routes to what a line must say."""
    is_held = request.path.relative_to(SITE).as_posix() in AUDITED
    with CheckedLines() if is_held else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Before the database is dropped, end the sessions that idle threads keep (`DatabaseThreads`)."""
    yield
    site = sys.modules.get("poolsite.asgi")
    if site is not None:
        site.http.close()
    database = connections["default"].settings_dict
    place = f"host={database['HOST']} user=postgres dbname=postgres"
    with contextlib.closing(psycopg2.connect(place)) as link:
        link.autocommit = True
        sessions = "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s"
        link.cursor().execute(sessions, [database["NAME"]])


@pytest.fixture(scope="module")
def module_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Rows that a file's fixtures make are there for all its tests: each takes back its own changes alone.

    For files whose every test begins with the same rows; the transaction's `now()` stands still meanwhile.
    """
    with django_db_blocker.unblock():
        block = transaction.atomic()
        block._from_testcase = True  # type: ignore[attr-defined]  # as Django's own: not the product's
        with block:
            yield
            transaction.set_rollback(True)


@pytest.fixture(scope="session", autouse=True)
def pieces_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test keeps pieces in the checkout's `var`."""
    django_settings.PIECES_DIR = str(tmp_path_factory.mktemp("pieces"))


@pytest.fixture(scope="session", autouse=True)
def with_contexts(django_test_environment: None) -> Iterator[Any]:
    """Render without keeping a copy of each template's context, a tenth of a page; return Django's way."""
    render = vars(Template)["_render"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", lambda template, context: template.nodelist.render(context))
        yield render


@pytest.fixture
def contexts(with_contexts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Render as Django does in tests, so that answers have `context`."""
    monkeypatch.setattr(Template, "_render", with_contexts)


@pytest.fixture(autouse=True)
def log_configuration() -> Iterator[None]:
    """A program that a test runs in this process sets up its logs; the next test has ours again."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Run `first` up to a point, start `second`, let `first` end: both outcomes, and if the second waited."""
    with besides(monkeypatch) as run:
        yield run


@pytest.fixture(scope="session")
def requests_in_transactions() -> Iterator[list[str]]:
    """Note what asks others inside a transaction: its rows stay locked until the answer comes.

    Nodes, signers and provers, webhooks and mail servers, markets and sources of pieces.
    """
    found: list[str] = []

    def guarded(request: Callable[..., Any]) -> Callable[..., Any]:
        def guard(*args: Any, **kwargs: Any) -> Any:
            if is_transaction_open():
                found.append("".join(traceback.format_stack(limit=12)))
                for one in filter(inspect.iscoroutine, args):
                    one.close()
                raise AssertionError(f"{request.__qualname__} inside a transaction")
            return request(*args, **kwargs)

        return guard

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (NodeLink, "_post"),
            (Connections, "request"),
            (LoopThread, "run"),
            (EmailMessage, "send"),
        ):
            patch.setattr(owner, name, guarded(getattr(owner, name)))
        for place_of, request in ASKED_BY_NAME:
            patch.setattr(place_of, guarded(request))
        yield found


@pytest.fixture(autouse=True)
def no_network_in_transactions(requests_in_transactions: list[str]) -> Iterator[list[str]]:
    """Fail what asks others inside a transaction."""
    found = requests_in_transactions
    found.clear()
    yield found
    assert not found, "a request to others inside a transaction:\n" + found[0]


@pytest.fixture(scope="session")
def service_units() -> ServiceUnits:
    """What watches in how many units services write."""
    return ServiceUnits()


@pytest.fixture(autouse=True)
def _services_write_in_one_unit(
    request: pytest.FixtureRequest, service_units: ServiceUnits, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a service that writes in several units without a reason in `service_units.txt`."""
    if not request.path.relative_to(SITE).as_posix().startswith(WATCHED):
        yield
        return
    service_units.install(monkeypatch)
    yield
    found = service_units.end()
    assert not found, f"a kill leaves half of what these write: {found}"


@pytest.fixture(scope="session")
def lock_order() -> Iterator[LockOrder]:
    """Watch of the order in which transactions lock rows."""
    order = LockOrder()
    with pytest.MonkeyPatch.context() as patch:
        order.install(patch)
        yield order


@pytest.fixture(autouse=True)
def _rows_are_locked_in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a transaction that locks rows in another order than `apps.core.lock_order` says."""
    if not request.path.relative_to(SITE).as_posix().startswith(HELD):
        yield
        return
    order: LockOrder = request.getfixturevalue("lock_order")
    order.end()
    order.is_watching = True
    yield
    order.is_watching = False
    found = order.end()
    assert not found, f"two such transactions may wait for each other: {found}"


@pytest.fixture(autouse=True)
def _checks_are_evaluated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages find the checks as evaluated that moment, without the task that does so in a pool; or nothing."""
    path = request.path.relative_to(SITE).as_posix()
    is_idle = path.startswith("tests/integration/dashboard/") and path not in WITH_FINDINGS
    report = nothing_found if is_idle else cache_of_reports.report_evaluate
    monkeypatch.setattr(cache_of_reports, "report_stored", report)


@pytest.fixture
def stored_reports(_checks_are_evaluated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages find what the task stored, as in a pool."""
    monkeypatch.setattr(cache_of_reports, "report_stored", REPORT_STORED)


@pytest.fixture(autouse=True)
def _cache_is_empty() -> None:
    """Figures that pages share for a while, as how long sealing takes here, are not another test's."""
    cache.clear()


@pytest.fixture(scope="session")
def postgres_sockets() -> Iterator[str]:
    """The folder with the socket of the run's PostgreSQL."""
    if ADDRESS in os.environ:
        yield os.environ[ADDRESS]
        return
    server = PostgresServer()
    try:
        server.start()
        yield str(server.sockets)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, postgres_sockets: str
) -> None:
    """Point the connection at the server and copy the migrated template."""
    row = connections["default"].settings_dict
    row["HOST"] = postgres_sockets
    row["TEST"].update(TEMPLATE=TEMPLATE, MIGRATE=False)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis of this run; use `pool_redis` unless the test kills it."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def shared_reports(redis_server: RedisServer, settings: Any) -> str:
    """An empty Redis: pages that follow each other share one evaluation of the checks, as in a pool."""
    if redis_server.process is None:
        redis_server.start()
    client_for(redis_server.url).flushall()
    settings.REDIS_URL = redis_server.url
    return redis_server.url


@pytest.fixture
def pool_redis(shared_reports: str, settings: Any) -> str:
    """The pool's Redis, empty: heartbeats, rate counters, and the channel layer go through it."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [shared_reports], "prefix": "test"},
        }
    }
    return shared_reports


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch is 1 s and a proof's lease 2 s on the test network, as queries may take: here none passes."""
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Django compiles from now on."""
    found: list[str] = []
    made = SQLCompiler.as_sql

    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        text = made(self, *args, **kwargs)
        found.append(text[0])
        return text

    monkeypatch.setattr(SQLCompiler, "as_sql", noted)
    return found
