"""What to say of a word that is none of the known ones."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


def unknown(name: Any, known: Iterable[str]) -> str:
    """`must be one of ..., not X`, with the nearest spelling at the end where one is near."""
    names = list(known)
    near = get_close_matches(str(name), names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"must be one of {', '.join(names)}, not {name!r}{hint}"
