"""Which kind of actor stands behind an address."""

from __future__ import annotations

from django.db import models

from apps.core.fields import AddressField, CidField


class Receiver(models.Model):
    """What a node once said of an address: an actor keeps its kind for life, only its code's CID changes."""

    address = AddressField(primary_key=True)
    kind = models.CharField(max_length=32)
    """In the words of `poolsite.filecoin.actors`: miner, multisig, ..."""
    code = CidField()
    """Of the network version at which it was asked for."""

    def __str__(self) -> str:
        return f"{self.address} is a {self.kind}"
