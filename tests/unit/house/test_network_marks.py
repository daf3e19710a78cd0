"""Views that ask a node, a signer or a prover say so, and are carried out in no transaction."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver

from apps.api.v1.views import PoolView
from apps.chain.node.client import chain_client, page_client
from apps.chain.node.link import NodeLink, link_to
from apps.gateway.hub.blocking_client import connection_send, requests_send
from apps.gateway.services.connection_test import account_approval_revoke_and_disconnect

ASKING: Final = (chain_client, page_client, link_to, NodeLink, requests_send, connection_send)
"""What begins every request to a node, a signer or a prover."""

AFTER_COMMIT: Final = (account_approval_revoke_and_disconnect,)
"""What asks only once the transaction has ended."""


def views(patterns: Iterable[URLPattern | URLResolver]) -> Iterator[type[PoolView]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns)
            continue
        view = getattr(pattern.callback, "view_class", None)
        if isinstance(view, type) and issubclass(view, PoolView):
            yield view


def names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from names_in(inner)


def own_members(view: type[PoolView]) -> dict[str, Any]:
    """What a view's methods find at `self`, but for what all views have."""
    classes = [one for one in reversed(view.__mro__) if issubclass(one, PoolView) and one is not PoolView]
    return {name: member for one in classes for name, member in vars(one).items()}


def path_to_network(view: type[PoolView]) -> list[str]:
    """The functions by which a view's POST comes to ask; empty if it does not."""
    members = own_members(view)
    found: list[tuple[Any, list[str]]] = [(getattr(view, "post", None), [view.__name__])]
    seen: set[Any] = set(AFTER_COMMIT)
    while found:
        thing, path = found.pop()
        if any(thing is one for one in ASKING):
            return path
        function = inspect.unwrap(thing) if callable(thing) else thing
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        if function.__module__.startswith("apps."):
            near = members | function.__globals__
            found += [(near.get(name), [*path, name]) for name in names_in(function.__code__)]
    return []


def test_a_post_that_asks_the_network_is_marked() -> None:
    known = set(views(get_resolver().url_patterns))
    asking = {view: path for view in known if (path := path_to_network(view))}

    assert len(asking) > 25
    unmarked = [" > ".join(path) for view, path in asking.items() if not view.asks_network]
    assert unmarked == [], "asks_network = True is missing"
    assert {
        view.__name__ for view in known - asking.keys() if view.asks_network and hasattr(view, "post")
    } == set()
