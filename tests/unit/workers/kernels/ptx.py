"""An interpreter of the few instructions of PTX that `workers.kernels.field_ptx` writes."""

from __future__ import annotations

from collections.abc import Iterable

WORD = 0xFFFFFFFF


def ptx_run(lines: Iterable[str], registers: dict[str, int]) -> None:
    """Carry out lines on words of 32 bits; the carry is lost wherever PTX does not promise it."""
    carry: int | None = None
    for line in lines:
        name, _, rest = line.rstrip(";").partition(" ")
        target, *sources = (part.strip() for part in rest.split(","))
        operation, *options = name.split(".")
        values = [registers[one] if one.startswith("%") else int(one) for one in sources]
        assert all(0 <= value <= WORD for value in values), line
        if operation == "mov":
            registers[target] = values[0]
        elif operation == "setp":
            registers[target] = int(values[0] == values[1])
        elif operation == "selp":
            registers[target] = values[0] if values[2] else values[1]
        else:
            carried = operation.endswith("c") and operation != "sub"
            assert carry is not None or not carried, f"no carry for {line}"
            result = _result(operation.removesuffix("c") if carried else operation, options, values)
            if carried:
                result += -int(carry or 0) if operation == "subc" else int(carry or 0)
            if "cc" in options:
                carry = int(not 0 <= result <= WORD)
            registers[target] = result & WORD


def _result(operation: str, options: list[str], values: list[int]) -> int:
    if operation == "add":
        return values[0] + values[1]
    if operation == "sub":
        return values[0] - values[1]
    assert operation in ("mad", "mul"), operation
    product = values[0] * values[1]
    if operation == "mul":
        return product & WORD
    return values[2] + (product & WORD if "lo" in options else product >> 32)
