"""Values as a reader sees them: numbers with sensible digits, designs in words, names made safe."""

import html
import math
from collections.abc import Sequence
from numbers import Integral, Real

import pandas as pd

from reports.columns import Column

UNKNOWN = "\u2013"  # an en dash


def printable(text: object) -> str:
    """`text` on one line, with control and formatting characters written out so that they cannot act."""
    return "".join(char if char.isprintable() else _written_out(char) for char in str(text))


def _written_out(char: str) -> str:
    return " " if char in "\n\t\r" else f"\\u{ord(char):04x}"


def escape(text: object) -> str:
    """`text` safe inside HTML and inside Plotly's own mark-up."""
    return html.escape(printable(text), quote=True)


def shorten(text: str, limit: int = 24) -> str:
    """`text` with its middle left out when it is longer than `limit`; the ends of layer names tell them apart."""
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return f"{text[:half]}…{text[-(limit - 1 - half) :]}"


def is_missing(value: object) -> bool:
    """None, NaN and NA."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def number(value: float, digits: int = 3) -> str:
    """A number with thousands separators and `digits` significant digits, never fewer than its integer part."""
    if is_missing(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return _fraction(value, digits)


def _fraction(value: float, digits: int) -> str:
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude >= 15:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


def cell(value: object, column: Column) -> str:
    """One value of a table as text."""
    if is_missing(value):
        return UNKNOWN
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, Real):
        return _numeric_cell(value, column)
    return printable(value)


def _numeric_cell(value: Real, column: Column) -> str:
    amount = float(value)
    if column.unit == "id":
        return str(int(amount)) if isinstance(value, Integral) else f"{amount:g}"
    if column.unit == "1":
        return f"{amount * column.scale:.1f}"
    return f"{int(amount):,}" if isinstance(value, Integral) else number(amount)


def quantity(value: float, column: Column) -> str:
    """One value with its unit, as in a sentence: "97.1 %", "1,204 nJ"."""
    text = cell(value, column)
    return text if text == UNKNOWN or not column.shown_unit else f"{text} {column.shown_unit}"


def factor(ratio: float) -> str:
    """A ratio in words that read well after "by": "1.3x", "12x", "3,400x"."""
    return f"{number(ratio, 2 if ratio < 10 else 1)}x" if ratio < 100 else f"{ratio:,.0f}x"


def percent(share: float) -> str:
    """A share between 0 and 1 as whole per cent."""
    return f"{100 * share:.0f} %"


def counted(count: int, noun: str) -> str:
    """A count with its noun: "1 layer", "12 layers"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def design_words(row: pd.Series) -> str:
    """One design in words: "16x8 PEs x 64 bit, 1x1 lanes, 500 MHz". What the row does not carry is left out."""
    parts = (_array_words(row), _lane_words(row), _clock_words(row))
    return ", ".join(part for part in parts if part)


def _array_words(row: pd.Series) -> str:
    if not _has(row, ("rows", "cols", "width")):
        return ""
    noun = "integer PEs" if row.get("machine") == "mac" else "PEs"
    return f"{int(row['rows'])}x{int(row['cols'])} {noun} x {int(row['width'])} bit"


def _lane_words(row: pd.Series) -> str:
    if row.get("machine") == "mac" or not _has(row, ("lanes_a", "lanes_w")):
        return ""
    return f"{int(row['lanes_a'])}x{int(row['lanes_w'])} lanes"


def _clock_words(row: pd.Series) -> str:
    return f"{number(float(row['clock_mhz']))} MHz" if _has(row, ("clock_mhz",)) else ""


def _has(row: pd.Series, names: Sequence[str]) -> bool:
    return all(not is_missing(row.get(name)) for name in names)
