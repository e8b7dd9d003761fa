"""What a layer makes the hardware do, counted: the record that executor and cost models must agree on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Counts of actions; a word is `width` bits of one plane, `width` being the bits a PE reduces at once.

    The executor counts what its kernels really touch, as the machine with one PE and one lane per operand would;
    a machine with more rows and columns shares operand reads, so only its `*_reads` and `*_writes` are smaller. The
    one exception is a grouped layer whose groups do not fill whole words: the machine streams the zero weights between
    them (docs/machine.md, section 2), the executor skips them.
    """

    xnor_words: int = 0
    """Words xnor-ed and popcounted: one per (output, word of the reduction, plane pair); masked taps included."""
    accumulations: int = 0
    """Additions into an accumulator; a PE with several lanes adds several words at once."""
    combines: int = 0
    """Branch results weighted by 2^(m+k-2) and added: one per (output, plane pair)."""
    correction_words: int = 0
    """Words popcounted alone, for the sums of codes that an offset of the other operand multiplies."""
    correction_adds: int = 0
    """Additions of such a sum to an accumulator."""
    vector_words: int = 0
    """Plane words that pass the vector unit (pooling, residual add, upsampling, moves)."""
    threshold_compares: int = 0
    """Comparisons of a binary search over the thresholds: out_bits per emitted code."""
    activation_reads: int = 0
    """Plane words read from the activation buffer."""
    weight_reads: int = 0
    """Plane words read from the weight buffer."""
    activation_writes: int = 0
    """Plane words written into the activation buffer."""
    weight_writes: int = 0
    """Plane words written into the weight buffer."""
    threshold_writes: int = 0
    """Thresholds written into the tables of the post units."""
    output_writes: int = 0
    """Plane words written into the output buffer: of codes, or of the two's complement of raw accumulators."""

    def __add__(self, other: Actions) -> Actions:
        return Actions(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(Actions)}
        )


def total(actions: Iterable[Actions]) -> Actions:
    """The sum over layers."""
    result = Actions()
    for item in actions:
        result += item
    return result
