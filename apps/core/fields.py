"""Columns for what a chain writes: addresses, amounts in attoFIL, CIDs."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models

from apps.core.marked_texts import gettext
from poolsite.filecoin.address import Address, BadAddress, address_format, address_parse
from poolsite.filecoin.cids import BadCid, Cid, cid_parse

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.expressions import Combinable

if TYPE_CHECKING:  # the generic form exists in the stubs only
    CharField = models.CharField[Any, Any]
    Field = models.Field[Any, Any]
else:
    CharField, Field = models.CharField, models.Field

ADDRESS_MAX_CHARS = 128
"""The longest delegated address has 54 bytes of payload: 2 + 20 + 1 + 94 characters."""

CID_MAX_CHARS = 128
"""A 32-byte hash takes 59 to 64; identity hashes of small values are shorter."""

ATTO_DIGITS = 78
"""2^256 has 78 digits; all FIL there will ever be has 28."""


class AddressField(CharField):
    """An address as canonical text with prefix `f`; either prefix and `Address` may be assigned.

    Two spellings of one address are one value, so it can be compared, indexed and made unique.
    """

    description = "Filecoin address"
    if TYPE_CHECKING:
        _pyi_private_set_type: str | Address | Combinable  # type: ignore[assignment]  # the stubs give str | int
        _pyi_private_get_type: str
        _pyi_lookup_exact_type: str | Address

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", ADDRESS_MAX_CHARS)
        super().__init__(*args, **kwargs)

    def to_python(self, value: Any) -> str | None:
        """Return the canonical text.  Raises ValidationError for what is no address."""
        if value is None or value == "":
            return None if value is None else ""
        try:
            return address_format(value if isinstance(value, Address) else address_parse(str(value)))
        except BadAddress as error:
            raise ValidationError(str(error), code="bad_address") from error

    def get_prep_value(self, value: Any) -> Any:
        """Store and compare canonical text only."""
        return self.to_python(models.Field.get_prep_value(self, value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Set the canonical text on the object too, so that it reads the same before and after saving."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, str | Address):
            value = self.to_python(value)
            setattr(model_instance, self.attname, value)
        return value


class CidField(CharField):
    """A CID as its canonical text; `Cid` may be assigned."""

    description = "CID"
    if TYPE_CHECKING:
        _pyi_private_set_type: str | Cid | Combinable  # type: ignore[assignment]  # the stubs give str | int
        _pyi_private_get_type: str
        _pyi_lookup_exact_type: str | Cid

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", CID_MAX_CHARS)
        super().__init__(*args, **kwargs)

    def to_python(self, value: Any) -> str | None:
        """Return the canonical text.  Raises ValidationError for what is no CID."""
        if value is None or value == "":
            return None if value is None else ""
        try:
            return str(value if isinstance(value, Cid) else cid_parse(str(value)))
        except BadCid as error:
            raise ValidationError(str(error), code="bad_cid") from error

    def get_prep_value(self, value: Any) -> Any:
        """Store and compare canonical text only."""
        return self.to_python(models.Field.get_prep_value(self, value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Set the canonical text on the object too."""
        value = super().pre_save(model_instance, add)
        if isinstance(value, str | Cid):
            value = self.to_python(value)
            setattr(model_instance, self.attname, value)
        return value


class AttoFilField(Field):
    """A whole number of attoFIL as `int`, of any size that 256 bits hold; sums come back as `int` too."""

    description = "Amount in attoFIL"
    if TYPE_CHECKING:
        _pyi_private_set_type: int | Combinable
        _pyi_private_get_type: int
        _pyi_lookup_exact_type: int

    def get_internal_type(self) -> str:
        """Return the type as which sums and lookups treat it: a decimal."""
        return "DecimalField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:  # noqa: ARG002  # Django's signature
        """Exact in the database; arithmetic there never becomes floating."""
        return f"numeric({ATTO_DIGITS}, 0)"

    def to_python(self, value: Any) -> int | None:
        """Return the number.  Raises ValidationError for fractions, floats and words."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        if isinstance(value, str | Decimal):
            try:
                number = Decimal(value)
            except ArithmeticError as error:
                raise ValidationError(gettext("not an amount in attoFIL"), code="bad_amount") from error
            if number.is_finite() and number == number.to_integral_value():
                return int(number)
        raise ValidationError(gettext("not a whole number of attoFIL"), code="bad_amount")

    def get_prep_value(self, value: Any) -> Any:
        """Store whole numbers only; expressions such as `F("value") + 1` pass."""
        value = super().get_prep_value(value)
        return self.to_python(value)

    def get_db_prep_value(  # Django's signature
        self,
        value: Any,
        connection: BaseDatabaseWrapper,  # noqa: ARG002  # Django's signature
        prepared: bool = False,
    ) -> Any:
        """Return a Decimal: psycopg2 would write an int, and a sum with such a literal overflows bigint."""
        number = value if prepared else self.get_prep_value(value)
        return None if number is None else Decimal(number)

    def from_db_value(self, value: Any, *_: Any) -> int | None:
        """Return an int, for columns and aggregates alike."""
        return None if value is None else int(value)
