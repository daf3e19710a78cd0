# mypy: allow-untyped-calls
"""64-bit Montgomery arithmetic of a prime field as LLVM code, for the kernels' intrinsics.

Values are limbs of 64 bits, below the modulus at rest.  On an x86 CPU with ADX a product is written in
assembler: LLVM uses one chain of carries where that has two, and takes half as long again.  Elsewhere
products of 64 by 64 bits come from its i128.
"""

from __future__ import annotations

from llvmlite import binding, ir  # type: ignore[import-untyped]  # llvmlite has no types

from workers.kernels import llvm
from workers.kernels.cpu import WORDS_BY_ADX
from workers.kernels.field import MODULUS
from workers.kernels.llvm import I64, I128

_WORD = (1 << 64) - 1
BASE_MODULUS = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16
)
"""p, the modulus of the coordinates of G1 and G2: 381 bits."""


class MontgomeryField:
    """A prime field whose elements are `limbs` words, times 2^(64 · limbs).

    A value is a list of u64, the lowest word first, below the modulus unless said otherwise.
    """

    def __init__(self, modulus: int, limbs: int) -> None:
        """Store the odd modulus and the number of words that an element has."""
        self.modulus, self.limbs = modulus, limbs
        self.slot = 8 * limbs
        """Bytes of one element."""
        self.radix = 1 << 64 * limbs
        self.words = [modulus >> 64 * i & _WORD for i in range(limbs)]
        self.inverse = -pow(modulus, -1, 1 << 64) & _WORD
        self.sum_type = ir.IntType(64 * (limbs + 1))
        """Holds sums of a few elements."""
        self.dot_type = ir.IntType(64 * (2 * limbs + 1))
        """Holds sums of a few products."""

    def load(self, builder, address, offset=0):
        """Limbs from memory: `limbs` u64 at address + offset, any alignment."""
        return [llvm.load(builder, address, offset + 8 * k, I64) for k in range(self.limbs)]

    def store(self, builder, address, value, offset=0):
        """Limbs to memory, the lowest first."""
        for k in range(self.limbs):
            llvm.store(builder, value[k], address, offset + 8 * k)

    def product(self, builder, left, right):
        """Twice as many limbs: the full product.

        left, right: any words, not only values below the modulus
        No carry is lost: (2^64 - 1)² + 2 · (2^64 - 1) is 2^128 - 1, so a product takes two words more.
        """
        out = [None] * (2 * self.limbs)
        for i in range(self.limbs):
            carry = None
            for j in range(self.limbs):
                adds = [value for value in (out[i + j], carry) if value is not None]
                out[i + j], carry = _wide(builder, left[i], right[j], *adds)
            out[i + self.limbs] = carry
        return out

    def join(self, builder, words):
        """Limbs as one wide integer of the type that holds sums of a few elements."""
        return join(builder, words, self.sum_type)

    def below_modulus(self, builder, value, bound):
        """`value` < bound · modulus brought below the modulus by compare and subtract.

        value: an integer of `sum_type`, not negative
        bound: 2 or more; each power of two below it, in moduli, is subtracted once where it fits: without
               branches
        """
        factor = 1
        while 2 * factor < bound:
            factor *= 2
        while factor:
            less = builder.sub(value, ir.Constant(self.sum_type, factor * self.modulus))
            negative = builder.icmp_signed("<", less, ir.Constant(self.sum_type, 0))
            value = builder.select(negative, value, less)
            factor //= 2
        return value

    def reduce(self, builder, words, bound, add=None):
        """Montgomery reduction of a product's words, plus `add`, below the modulus.

        words:   2 · limbs words, or one more for a sum of products
        bound:   of (words + q · modulus) / radix, in moduli; q is below radix, which makes up one of them
        add:     an element below the modulus, not multiplied and so not reduced
        returns: (words / radix + add) modulo the modulus

        Each step adds the multiple m · modulus that makes the lowest word 0; its carry goes one word on with
        the next.
        """
        count = self.limbs
        t = [*words, *[llvm.splat(I64, 0)] * (2 * count + 1 - len(words))]
        carried = None
        for i in range(count):
            m = builder.mul(t[i], llvm.splat(I64, self.inverse))
            carry = None
            for j in range(count):
                adds = [t[i + j]] if carry is None else [t[i + j], carry]
                t[i + j], carry = _wide(builder, m, llvm.splat(I64, self.words[j]), *adds)
            total = builder.add(builder.zext(t[i + count], I128), builder.zext(carry, I128))
            if carried is not None:
                total = builder.add(total, builder.zext(carried, I128))
            t[i + count] = builder.trunc(total, I64)
            carried = builder.trunc(builder.lshr(total, llvm.splat(I128, 64)), I64)
        t[2 * count] = builder.add(t[2 * count], carried)
        value = self.join(builder, t[count : 2 * count + 1])
        if add is not None:
            value, bound = builder.add(value, self.join(builder, add)), bound + 1
        return split(builder, self.below_modulus(builder, value, bound), count)

    def multiply(self, builder, left, right, add=None):
        """left · right / radix + add, below the modulus.

        left:  any words: a product of two values is below two moduli if one of them is below the modulus
        right: below the modulus
        """
        if not WORDS_BY_ADX:
            return self.reduce(builder, self.product(builder, left, right), 2, add)
        with builder.goto_entry_block():
            room = builder.ptrtoint(builder.alloca(I64, 2 * self.limbs), I64)
        self.store(builder, room, [*left])
        self.store(builder, room, right, self.slot)
        return self.multiply_at(builder, room, builder.add(room, llvm.splat(I64, self.slot)), add)

    def multiply_at(self, builder, left, right, add=None):
        """As `multiply`, of elements that lie in memory: i64 addresses."""
        if not WORDS_BY_ADX:
            return self.multiply(builder, self.load(builder, left), self.load(builder, right), add)
        value, bound = self.join(builder, self._product_by_adx(builder, left, right)), 2
        if add is not None:
            value, bound = builder.add(value, self.join(builder, add)), bound + 1
        return split(builder, self.below_modulus(builder, value, bound), self.limbs)

    def _product_by_adx(self, builder, left, right):
        """left · right / radix below two moduli, of elements at i64 addresses.

        A word of `left` at a time: its product with `right` is added, then the multiple of the modulus that
        makes the lowest word 0.  Low and high halves of products are added by two chains of carries, ADCX and
        ADOX.  What is between words stays below 2 · modulus · (2^64 + 1), which takes a word more than an
        element as the modulus leaves its highest bit free; so no carry leaves that word.
        Source: Gueron and Krasnov, as in Intel's "New instructions supporting large integer arithmetic".
        """
        binding.initialize_native_asmparser()
        count = self.limbs
        total = [f"${k}" for k in range(count)]
        above, high, left_at, right_at, modulus_at = (f"${count + k}" for k in range(5))
        code = []
        for i in range(count):
            code += [f"movq {8 * i}({left_at}), %rdx", "xorl %eax, %eax"]
            for j in range(count):
                if i:
                    code += [f"mulxq {8 * j}({right_at}), %rax, {above}", f"adoxq %rax, {total[j]}"]
                    code += [f"adcxq {above}, {total[j + 1]}"] if j + 1 < count else []
                    continue
                upper = total[j + 1] if j + 1 < count else above
                lower = "%rax" if j else total[0]
                code += [f"mulxq {8 * j}({right_at}), {lower}, {upper}"]
                code += [f"adcxq %rax, {total[j]}"] if j else []
            code += ["movl $$0, %eax", f"adcxq %rax, {above}"] + ([f"adoxq %rax, {above}"] if i else [])
            code += [f"movq {8 * count}({modulus_at}), %rdx", f"imulq {total[0]}, %rdx", "xorl %eax, %eax"]
            code += [f"mulxq ({modulus_at}), %rax, {high}", f"adcxq {total[0]}, %rax"]
            code += [f"movq {high}, {total[0]}"]
            for j in range(1, count):
                code += [f"adcxq {total[j]}, {total[j - 1]}"]
                code += [f"mulxq {8 * j}({modulus_at}), %rax, {total[j]}", f"adoxq %rax, {total[j - 1]}"]
            code += ["movl $$0, %eax", f"adcxq %rax, {total[-1]}", f"adoxq {above}, {total[-1]}"]
        written = ["=&r"] * (count + 2)
        bounds = [*written, "r", "r", "r", "~{rax}", "~{rdx}", "~{flags}", "~{memory}"]
        results = ir.LiteralStructType([I64] * len(written))
        type_ = ir.FunctionType(results, [I64] * 3)
        call = ir.InlineAsm(type_, "\n".join(code), ",".join(bounds), side_effect=False)
        made = builder.call(call, [left, right, builder.ptrtoint(self._table(builder), I64)])
        return [builder.extract_value(made, k) for k in range(count)]

    def _table(self, builder):
        """The modulus and its `inverse` in the module's constants."""
        name = f"modulus_of_{self.limbs}_words"
        known = builder.module.globals.get(name)
        if known is None:
            known = ir.GlobalVariable(builder.module, ir.ArrayType(I64, self.limbs + 1), name)
            known.linkage, known.global_constant = "internal", True
            known.initializer = ir.Constant(known.value_type, [*self.words, self.inverse])
        return known

    def add(self, builder, left, right):
        """left + right, below the modulus; both are below it."""
        total = builder.add(self.join(builder, left), self.join(builder, right))
        return split(builder, self.below_modulus(builder, total, 2), self.limbs)

    def subtract(self, builder, left, right):
        """left - right, below the modulus; both are below it.

        The difference is made in a wider integer: its sign says whether the modulus has to be added.
        """
        difference = builder.sub(self.join(builder, left), self.join(builder, right))
        negative = builder.icmp_signed("<", difference, ir.Constant(self.sum_type, 0))
        plus = builder.add(difference, ir.Constant(self.sum_type, self.modulus))
        return split(builder, builder.select(negative, plus, difference), self.limbs)


SCALARS = MontgomeryField(MODULUS, 4)
"""The scalar field: 4 limbs, radix 2^256."""
COORDINATES = MontgomeryField(BASE_MODULUS, 6)
"""The base field: 6 limbs, radix 2^384."""


def _wide(builder, left, right, *adds):
    """(low, high) of left · right + adds.

    left, right, adds: u64; at most two to add, so that the sum stays below 2^128
    """
    product = builder.mul(builder.zext(left, I128), builder.zext(right, I128))
    for add in adds:
        product = builder.add(product, builder.zext(add, I128))
    return builder.trunc(product, I64), builder.trunc(builder.lshr(product, llvm.splat(I128, 64)), I64)


def join(builder, words, type_):
    """Limbs as one wide integer.

    words: u64, the lowest first;  type_: an integer type of at least as many bits
    """
    out = builder.zext(words[0], type_)
    for k, word in enumerate(words[1:], 1):
        out = builder.or_(out, builder.shl(builder.zext(word, type_), llvm.splat(type_, 64 * k)))
    return out


def split(builder, value, count):
    """A wide integer as limbs: its lowest `count` words, the lowest first."""
    shifted = [builder.lshr(value, llvm.splat(value.type, 64 * k)) for k in range(count)]
    return [builder.trunc(part, I64) for part in shifted]
