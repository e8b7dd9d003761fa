"""Liberty files as a tree of groups: what a cell library or a memory macro says, without knowing what it means.

The grammar is small: `name : value ;`, `name (arguments) ;` and `name (arguments) { ... }`, comments, and lines that go on
after a backslash. A semicolon that is missing at the end of a line is forgiven, as foundry files leave some out.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKIP = re.compile(r"(?:\s|\\\r?\n|/\*.*?\*/|//[^\n]*)*", re.S)
NAME = re.compile(r"[A-Za-z_][\w.]*")
VALUE = re.compile(r'(?:"[^"]*"|[^";{}\n])*')
ARGUMENTS = re.compile(r'\(((?:"[^"]*"|[^"(){}])*)\)')
ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"\\]+)')


@dataclass(frozen=True, slots=True)
class Group:
    """`name (arguments) { ... }` and the line it starts in. An attribute's value is a tuple of its words or quoted texts."""

    name: str
    arguments: tuple[str, ...]
    line: int
    attributes: tuple[tuple[str, tuple[str, ...]], ...]
    groups: tuple[Group, ...]

    def text(self, name: str, default: str = "") -> str:
        """The first attribute of that name as one text, `default` where there is none."""
        return next((" ".join(value) for key, value in self.attributes if key == name), default)

    def find(self, name: str) -> Iterator[Group]:
        """All groups of that name in here, at any depth, in the order of the file."""
        for group in self.groups:
            if group.name == name:
                yield group
            yield from group.find(name)

    def named(self, name: str, argument: str) -> Group | None:
        """The first group of that name whose first argument is `argument`, at any depth."""
        return next((group for group in self.find(name) if group.arguments[:1] == (argument,)), None)


def read_liberty(path: Path) -> Group:
    """The library of a .lib or .lib.gz file. Raises ValueError naming file and line where it is truncated or no liberty file."""
    return parse_liberty(text_of(path), str(path))


def text_of(path: Path) -> str:
    """The text of a liberty file, unpacked if it ends in .gz. Raises ValueError for a file that cannot be read to its end."""
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8", errors="replace")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: must be a whole gzip file, but {error}") from error
    except OSError as error:
        raise ValueError(f"{path}: must be a readable liberty file, but {error.strerror or error}") from error


def parse_liberty(text: str, where: str) -> Group:
    """The first group of a text, which must be `library (...) { ... }`. Raises ValueError naming `where` and the line."""
    reader = _Reader(text, where)
    reader.skip()
    name = reader.word(None)
    if name != "library":
        raise reader.error(f"must be a liberty file, which begins with `library (...) {{`, not {name!r}")
    found = reader.statement(name)
    if not isinstance(found, Group):
        raise reader.error("must be a liberty file, but there is no group behind `library`")
    return found


@dataclass(slots=True)
class _Reader:
    """A place in a text; every method starts there and moves on."""

    content: str
    where: str
    place: int = 0
    counted: tuple[int, int] = (0, 1)

    def line(self) -> int:
        """The line of the place, counted on from where it was asked before: places only grow."""
        before, line = self.counted
        self.counted = (self.place, line + self.content.count("\n", before, self.place))
        return self.counted[1]

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.where}: line {self.line()}: {message}")

    def skip(self) -> None:
        found = SKIP.match(self.content, self.place)
        self.place = found.end() if found else self.place

    def word(self, inside: str | None) -> str:
        """The name of a statement."""
        found = NAME.match(self.content, self.place)
        if found is None and self.place >= len(self.content):
            raise self.error(f"must be a whole liberty file, but it ends within {inside or 'nothing'}")
        if found is None:
            raise self.error(f"must be a name, not {self.content[self.place]!r}")
        self.place = found.end()
        return found[0]

    def statement(self, name: str) -> Group | tuple[str, ...]:
        """What follows a name: a group, or the words of an attribute."""
        line = self.line()
        self.skip()
        sign = self.content[self.place : self.place + 1]
        if sign == ":":
            self.place += 1
            self._spaces()
            return self._taken(VALUE, name)
        arguments = self._taken(ARGUMENTS, name)
        self.skip()
        if self.content[self.place : self.place + 1] != "{":
            return arguments
        self.place += 1
        return self._body(name, arguments, line)

    def _body(self, name: str, arguments: tuple[str, ...], line: int) -> Group:
        attributes, groups = [], []
        said = f"group `{name} ({', '.join(arguments)})` of line {line}"
        while not self._closed():
            key = self.word(said)
            found = self.statement(key)
            if isinstance(found, Group):
                groups.append(found)
            else:
                attributes.append((key, found))
        return Group(name, arguments, line, tuple(attributes), tuple(groups))

    def _closed(self) -> bool:
        """Whether the group ends here; empty statements are passed over."""
        self.skip()
        while self.content[self.place : self.place + 1] == ";":
            self.place += 1
            self.skip()
        if self.content[self.place : self.place + 1] != "}":
            return False
        self.place += 1
        return True

    def _spaces(self) -> None:
        """Blanks up to a value, but not into the next line."""
        while self.content[self.place : self.place + 1] in (" ", "\t"):
            self.place += 1

    def _taken(self, pattern: re.Pattern[str], name: str) -> tuple[str, ...]:
        found = pattern.match(self.content, self.place)
        if found is None:
            raise self.error(f"`{name}` must be followed by `: value` or by whole `(arguments)`")
        self.place = found.end()
        inner = found[1] if pattern.groups else found[0]
        return tuple(quoted or bare for quoted, bare in ARGUMENT.findall(inner) if quoted or bare)
