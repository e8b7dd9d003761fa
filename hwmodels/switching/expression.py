"""Boolean functions as liberty files write them: `!(A*B)`, `A' + B C`, `A^B`; evaluated on arrays, and written as Verilog."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Bits = Any
"""A bool, an array of bools, or an array of words whose bits are evaluated side by side."""

TOKEN = re.compile(r"\s*([A-Za-z_][\w.\[\]]*|[01]|[!'*&+|^()])")


@dataclass(frozen=True, slots=True)
class Expression:
    """A name, a constant "0" or "1", or an operator (~ & | ^) over other expressions."""

    operator: str
    operands: tuple[Expression, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of all variables."""
        if self.operands:
            return frozenset().union(*(one.names for one in self.operands))
        return frozenset() if self.operator in "01" else frozenset({self.operator})

    def of(self, values: Mapping[str, Bits], ones: Bits = True) -> Bits:
        """The value, bit by bit; `ones` is what a true bit looks like: True, or a word of ones. Raises KeyError for an unknown name."""
        if self.operator in "01":
            return ones if self.operator == "1" else ones ^ ones
        if not self.operands:
            return values[self.operator]
        found = [one.of(values, ones) for one in self.operands]
        if self.operator == "~":
            return found[0] ^ ones
        if self.operator == "&":
            return found[0] & found[1]
        return found[0] | found[1] if self.operator == "|" else found[0] ^ found[1]

    @property
    def verilog(self) -> str:
        """The same in Verilog, every operation in parentheses."""
        if not self.operands:
            return f"1'b{self.operator}" if self.operator in "01" else self.operator
        if self.operator == "~":
            return f"(~{self.operands[0].verilog})"
        return f"({self.operands[0].verilog} {self.operator} {self.operands[1].verilog})"


def parse(text: str) -> Expression:
    """An expression from its text; ! and ' bind strongest, then ^, then * & and nothing, then + |. Raises ValueError quoting the text."""
    reader = _Reader(_tokens(text), text)
    found = reader.either()
    if reader.left:
        raise ValueError(f"function must be a Boolean expression, not {text!r}")
    return found


def _tokens(text: str) -> list[str]:
    tokens, place = [], 0
    while text[place:].strip():
        found = TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"function must be a Boolean expression, not {text!r}")
        tokens.append(found[1])
        place = found.end()
    return tokens


@dataclass(slots=True)
class _Reader:
    """What is left of an expression's tokens."""

    left: list[str]
    text: str

    def either(self) -> Expression:
        found = self.both()
        while self._next("+", "|"):
            found = Expression("|", (found, self.both()))
        return found

    def both(self) -> Expression:
        found = self.unlike()
        while self.left and self.left[0] not in ("+", "|", ")"):
            self._next("*", "&")
            found = Expression("&", (found, self.unlike()))
        return found

    def unlike(self) -> Expression:
        found = self.single()
        while self._next("^"):
            found = Expression("^", (found, self.single()))
        return found

    def single(self) -> Expression:
        if self._next("!"):
            return Expression("~", (self.single(),))
        if self._next("("):
            found = self.either()
            if not self._next(")"):
                raise ValueError(f"function must close its parentheses: {self.text!r}")
        elif self.left and (self.left[0][0].isalnum() or self.left[0][0] == "_"):
            found = Expression(self.left.pop(0))
        else:
            raise ValueError(f"function must be a Boolean expression, not {self.text!r}")
        while self._next("'"):
            found = Expression("~", (found,))
        return found

    def _next(self, *signs: str) -> bool:
        """Whether the next token is one of these; then it is taken."""
        if self.left and self.left[0] in signs:
            self.left.pop(0)
            return True
        return False
