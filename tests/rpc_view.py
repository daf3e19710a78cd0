"""JSON-RPC posts of Django's test client, answered by what answers them in web processes.

Only the test's own thread sees its rows, so what calls give to other threads is carried out in that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.api.callers import principal_from_token, request_source
from apps.api.rpc.batching import DatabaseThread
from apps.api.rpc.services.market import NAMESPACE_HEADER
from apps.api.rpc.transport.http import RpcRequest, RpcResponse, length_of, post_answer
from apps.core.database_threads import DatabaseThreads
from apps.core.live import Change, changes_send
from apps.users.rules.principals import Principal

VIEW_LOOP: Final[ContextVar[asyncio.AbstractEventLoop | None]] = ContextVar("rpc_view_loop", default=None)
"""The event loop of the post that is answered: others take over the context, and keep their threads."""
_in_threads, _submit = DatabaseThreads.__call__, DatabaseThread.submit
_tasks: Final[set[asyncio.Task[None]]] = set()


async def _call(self: DatabaseThreads, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if VIEW_LOOP.get() is asyncio.get_running_loop():
        return await sync_to_async(work)(*args, **kwargs)
    return await _in_threads(self, work, *args, **kwargs)


def _batch(self: DatabaseThread, job: Callable[[], list[Change]]) -> None:
    if VIEW_LOOP.get() is None or VIEW_LOOP.get() is not _running_loop():
        _submit(self, job)
        return
    task = asyncio.get_running_loop().create_task(sync_to_async(lambda: changes_send(job()))())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


DatabaseThreads.__call__ = _call  # type: ignore[method-assign]
DatabaseThread.submit = _batch  # type: ignore[method-assign]


@csrf_exempt
def rpc(request: HttpRequest, version: str) -> HttpResponse:
    """Answer a post, or any other request to the address."""

    async def body(_owner: str) -> bytes:
        return request.read()

    async def who(text: str, source: str) -> Principal:
        return await sync_to_async(principal_from_token)(text, source=source)

    rpc_request = RpcRequest(
        version=version,
        method=request.method or "",
        authorization=request.headers.get("Authorization", ""),
        query_token=request.GET.get("token", ""),
        namespace=request.headers.get(NAMESPACE_HEADER, ""),
        source=request_source(request),
        length=length_of(request.headers.get("Content-Length", "")),
    )

    async def answered() -> RpcResponse:
        loop = asyncio.get_running_loop()
        VIEW_LOOP.set(loop)
        answer = await post_answer(rpc_request, body, who)
        # The loop must not end before what was begun in it: that would wait for it forever.
        await asyncio.gather(*(task for task in _tasks if task.get_loop() is loop), return_exceptions=True)
        return answer

    answer = async_to_sync(answered)()
    return HttpResponse(
        answer.body, status=answer.status, content_type=answer.content_type, headers=answer.headers
    )
