"""What of the sources synthesis needs to read: no comments, and of the package only what the modules name.

Synthesis reads this and nothing else, so that a digest of it changes exactly where something that was read has changed: a new
constant of the package does not make points old whose modules never use it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", flags=re.S)
BLANK = re.compile(r"[ \t]*\n\s*")
ITEM = re.compile(r"\s*(?:localparam [^;=]*?(\w+)\s*=[^;]*;|typedef struct packed \{[^}]*\}\s*(\w+);)")
PACKAGE = re.compile(r"\s*package (\w+);(.*)endpackage\s*", flags=re.S)


def plain(text: str) -> str:
    """Verilog without comments, blank lines and indents."""
    return BLANK.sub("\n", COMMENT.sub("", text)).strip() + "\n"


def needed(package: str, modules: Iterable[str]) -> str:
    """The package with those constants and types alone that modules name, and that these are made of, in their order.

    Raises ValueError where the package holds anything else than constants and packed structs.
    """
    found = PACKAGE.fullmatch(plain(package))
    if found is None:
        raise ValueError("package: must be `package NAME; ... endpackage`")
    items = _items(found[2])
    named = set(re.findall(rf"\b{found[1]}::(\w+)", "\n".join(modules)))
    kept = _closure(named & set(items), items)
    body = "".join(f"{text}\n" for name, text in items.items() if name in kept)
    return f"package {found[1]};\n{body}endpackage\n"


def _items(body: str) -> dict[str, str]:
    """Text of every item by its name."""
    items, start = {}, 0
    while body[start:].strip():
        found = ITEM.match(body, start)
        if found is None:
            raise ValueError(
                f"package: must hold constants and packed structs, but there is {body[start:].split(';')[0].strip()!r}"
            )
        items[found[1] or found[2]] = found[0].strip()
        start = found.end()
    return items


def _closure(named: set[str], items: Mapping[str, str]) -> set[str]:
    """The names, those in their texts, and so on."""
    kept: set[str] = set()
    while new := named - kept:
        kept |= new
        named = {word for name in new for word in re.findall(r"\w+", items[name]) if word in items}
    return kept
