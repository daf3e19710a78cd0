"""Parameters of the pool's own messages, in the form that the network takes where they land."""

from __future__ import annotations

from dataclasses import replace

from apps.chain.selectors.heads import head_current
from apps.chain.selectors.upgrades import network_version_at
from poolsite.filecoin.actors.decode import changed_methods
from poolsite.filecoin.actors.method import params_at
from poolsite.filecoin.address import Address
from poolsite.filecoin.kinds import BadField
from poolsite.filecoin.message import Message


def landing_params(to: Address, method: int, params: bytes, *, height: int | None = None) -> bytes:
    """Return parameters in the form of the epoch after `height`, by default after the newest head.

    What that form cannot say, and what is not read, stays as it is: the node's trial tells.  Nothing is read
    from the database unless an upgrade changes the method.
    """
    changed = changed_methods(to, method)
    if not changed:
        return params
    if height is None:
        head = head_current()
        height = 0 if head is None else head.height
    version = network_version_at(height + 1)
    for spec in changed:
        try:
            formed = params_at(spec, params, version=version)
        except BadField:
            continue
        if formed != params:
            return formed
    return params


def landing_form(message: Message) -> Message:
    """Return a message of the pool's own with its parameters as the next epoch takes them."""
    return replace(message, params=landing_params(message.to, message.method, message.params))
