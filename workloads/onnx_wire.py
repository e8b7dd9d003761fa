"""How many records an ONNX file holds, counted before it is parsed: a few bytes of a hostile file can stand for a large object.

Protocol buffers are a sequence of fields: a tag (field number * 8 + wire type) and a number, 4 or 8 bytes, or a length and
so many bytes, which may be a message in turn. Only the messages that ONNX nests are entered, never the bytes of weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

MOST_FIELDS = 300_000
"""A network of 10,000 nodes has about two thirds of that."""

NUMBER, EIGHT, BYTES, FOUR = 0, 1, 2, 5
"""Wire types."""

Message = Mapping[int, str]

MESSAGES: Mapping[str, Message] = {
    "model": {7: "graph", 8: "record", 14: "record"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value", 14: "annotation"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor"},
    "annotation": {2: "record"},
    "value": {},
    "tensor": {},
    "record": {},
}
"""Fields that are messages themselves, by the message they stand in."""


def holds_too_much(content: bytes) -> bool:
    """Whether there are more than MOST_FIELDS fields; where the bytes are no message, those before count."""
    pending, seen = [(0, len(content), "model")], 0
    while pending:
        start, end, kind = pending.pop()
        for field, first, last in _fields(content, start, end):
            seen += 1
            if seen > MOST_FIELDS:
                return True
            if field in MESSAGES[kind]:
                pending.append((first, last, MESSAGES[kind][field]))
    return False


def _fields(content: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each field; stops at the first byte that is none. A field without bytes begins at its end."""
    while place < end:
        tag, place = _number(content, place, end)
        wire = tag & 7
        if tag < 8:  # no field is number 0
            return
        if wire == NUMBER:
            _, place = _number(content, place, end)
            size = 0
        elif wire == BYTES:
            size, place = _number(content, place, end)
        elif wire in (EIGHT, FOUR):
            size = 8 if wire == EIGHT else 4
        else:
            return
        if place + size > end:
            return
        yield (tag >> 3 if wire == BYTES else 0), place, place + size
        place += size


def _number(content: bytes, place: int, end: int) -> tuple[int, int]:
    """A variable-length number and the place behind it, which is beyond `end` where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = content[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    return 0, end + 1
