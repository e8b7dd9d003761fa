"""The experiment file: TOML in, one frozen record out. The file's dict is read here and dies here."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from glob import glob
from itertools import combinations
from pathlib import Path
from typing import Any

from dse.space import FULL, Space
from hwmodels.design import DATAFLOWS, KINDS, MEMORIES, PARTS, STAGES
from hwmodels.technology import TECHNOLOGIES, technology
from reports.columns import AREA_PARTS, DECISION, ENERGY_PARTS, LUT_PARTS, METRICS, QUALITY
from workloads.layers import MAX_BITS
from workloads.spelling import unknown
from workloads.weight_encodings import WEIGHT_ENCODINGS
from workloads.zoo import NETWORKS, Decoding

SECTIONS = ("name", "seed", "objectives", "constraints", "require", "minimise", "networks", "space", "bits")
NETWORK_KEYS = ("file", "zoo", "table", "bits", "layers", "weights", "decoding", "data", "labels")
CHOICES: Mapping[str, Sequence[str]] = {
    "machine": KINDS, "dataflow": DATAFLOWS, "memory": MEMORIES, "technology": tuple(TECHNOLOGIES),
}  # fmt: skip
WORDS = {"lanes_a": "full", "lanes_w": "full", "max_act_bits": "network", "max_weight_bits": "network"}
"""The one word that an integer axis takes besides numbers: as many as the network has bits."""
LOWEST = {"port_latency": 0, "memory_kib": 0, "weight_depth": 2, "act_depth": 2, "out_depth": 2, "threshold_depth": 2}
HIGHEST = {
    "lanes_a": MAX_BITS, "lanes_w": MAX_BITS, "max_act_bits": MAX_BITS, "max_weight_bits": MAX_BITS,
    **dict.fromkeys(PARTS, max(STAGES)),
}  # fmt: skip
LARGEST = 2**31 - 1
MOST_VALUES = 10_000
UNSWEPT = ("top5_accuracy",)
"""Ranked columns that other tables have, and a sweep has not."""
RANKED = tuple(
    column.name
    for group in (METRICS, QUALITY, ENERGY_PARTS, AREA_PARTS, LUT_PARTS)
    for column in group
    if column.direction != "none" and column.name not in UNSWEPT
)
"""Columns of a sweep that have a better and a worse side."""
DECIDED = (*RANKED, *(column.name for column in DECISION if column.direction != "none"))
"""The same, and those that only a decision has."""
FIGURES_OF = {"area": "asic", "lut": "fpga", "ff": "fpga", "bram36": "fpga", "dsp": "fpga"}
"""First word of the columns that only one kind of technology has."""
OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "<": lambda a, b: a < b, ">": lambda a, b: a > b,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Constraint:
    """`column operator number`; true of NaN never. It binds only designs in a technology that has the column."""

    column: str
    operator: str
    bound: float

    def __str__(self) -> str:
        return f"{self.column} {self.operator} {self.bound:g}"

    def holds(self, values: Any) -> Any:
        """Whether values (a number or an array) satisfy it."""
        return OPERATORS[self.operator](values, self.bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSource:
    """Where networks come from: files (a family of encoded networks, data to measure them on), or shapes at given bits.

    Shapes are a network of the zoo or a layer table; without `bits` and `weights` a table has its own.
    """

    files: tuple[Path, ...] = ()
    zoo: str | None = None
    table: Path | None = None
    bits: tuple[tuple[int, int], ...] = ()
    layers: tuple[tuple[str, tuple[int, int]], ...] = ()
    weights: tuple[str, ...] = ()
    decoding: Decoding | None = None
    data: Path | None = None
    labels: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """Everything that a sweep needs; `text` is the file as it was, `digest` its hash."""

    name: str
    networks: tuple[NetworkSource, ...]
    space: Space
    objectives: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    require: tuple[Constraint, ...]
    minimise: str
    seed: int
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load(path: str | Path) -> Experiment:
    """Read an experiment file. Raises ValueError, one line with file and key, for anything that is not one."""
    source = Path(path)
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{source}: the experiment file must be readable, but {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: the experiment file must be UTF-8 text, but {_line(error)}") from error
    return parse(text, base=source.parent, where=str(source))


def parse(text: str, *, base: Path, where: str, find_files: bool = True) -> Experiment:
    """The same from text; relative paths start at `base`. Without `find_files` network files are not looked for."""
    try:
        return _experiment(tomllib.loads(text), text, base if find_files else None)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{where}: must be TOML, but {_line(error)}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def constraint(text: str, key: str = "constraint", known: Sequence[str] = RANKED) -> Constraint:
    """Parse `column operator number`, e.g. `lut <= 53200`, with one of the `known` columns."""
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|==|<|>)\s*([-+0-9.eE_]+)\s*", text)
    if match is None:
        raise ValueError(f"{key}: must read `column operator number` with one of {' '.join(OPERATORS)}, not {text!r}")
    column, operator, number = match.groups()
    check_column(column, key, known)
    try:
        return Constraint(column, operator, float(number))
    except ValueError:
        raise ValueError(f"{key}: the bound must be a number, not {number!r}") from None


def check_column(name: Any, key: str, known: Sequence[str] = RANKED) -> None:
    """Raise ValueError unless `name` is one of the columns that can be ranked."""
    if name not in known:
        raise ValueError(f"{key}: {unknown(name, known)}")


def applies(column: str, name: str) -> bool:
    """Whether a technology has the figure: areas belong to ASICs, LUT, FF, BRAM and DSP to FPGAs, all others to both."""
    kind = FIGURES_OF.get(column.removeprefix("mac_").split("_")[0])
    return kind is None or technology(name).kind == kind


def _check_together(constraints: Sequence[Constraint]) -> None:
    """Two constraints on one column must leave some value: their bounds, or something between or beside them."""
    for one, other in combinations(constraints, 2):
        if one.column == other.column:
            low, high = sorted((one.bound, other.bound))
            values = (low - 1, low, (low + high) / 2, high, high + 1)
            if not any(one.holds(value) and other.holds(value) for value in values):
                raise ValueError(
                    f"constraints: '{one}' and '{other}' must leave some value of {one.column}, but leave none"
                )


def _check_applies(key: str, columns: Sequence[str], technologies: Sequence[str]) -> None:
    for column in columns:
        if not any(applies(column, technology) for technology in technologies):
            raise ValueError(f"{key}: must be a figure of the swept {', '.join(technologies)}, not {column!r}")


def _experiment(data: Mapping[str, Any], text: str, base: Path | None) -> Experiment:
    _check_keys(data, SECTIONS, "")
    objectives = tuple(_strings(data, "objectives", ("energy_nj", "latency_us")))
    if not objectives:
        raise ValueError("objectives: at least one column must be given, not none")
    for name in objectives:
        check_column(name, "objectives")
    minimise = data.get("minimise", objectives[0])
    check_column(minimise, "minimise")
    networks = data.get("networks")
    if not isinstance(networks, list) or not networks:
        raise ValueError("networks: at least one [[networks]] table must be given")
    seed = _typed(data, "seed", int, 1)
    if seed < 0:
        raise ValueError(f"seed: must be an integer >= 0, not {seed}")
    space = _space(data.get("space", {}))
    constraints = tuple(constraint(item, "constraints") for item in _strings(data, "constraints", ()))
    _check_together(constraints)
    require = tuple(constraint(item, "require", DECIDED) for item in _strings(data, "require", ()))
    _check_applies("objectives", objectives, space.technology)
    _check_applies("minimise", [minimise], space.technology)
    _check_applies("constraints", [item.column for item in constraints], space.technology)
    _check_applies("require", [item.column for item in require], space.technology)
    return Experiment(
        name=_typed(data, "name", str, "experiment"),
        networks=tuple(_network(entry, f"networks[{index}]", base) for index, entry in enumerate(networks)),
        space=space,
        objectives=objectives,
        constraints=constraints,
        require=require,
        minimise=minimise,
        seed=seed,
        text=text,
    )


def _network(entry: Any, key: str, base: Path | None) -> NetworkSource:
    if not isinstance(entry, dict):
        raise ValueError(f"{key}: must be a table, not {entry!r}")
    _check_keys(entry, NETWORK_KEYS, f"{key}.")
    given = [name for name in ("file", "zoo", "table") if name in entry]
    if len(given) != 1:
        raise ValueError(f"{key}: must have one of `file`, `zoo` and `table`, not {' and '.join(given) or 'none'}")
    return _from_files(entry, key, base) if "file" in entry else _from_shapes(entry, key, base)


def _from_files(entry: Mapping[str, Any], key: str, base: Path | None) -> NetworkSource:
    if any(name in entry for name in ("bits", "layers", "weights", "decoding")):
        raise ValueError(
            f"{key}: an encoded network brings its own bits, so `bits`, `layers`, `weights` and `decoding` must not be given"
        )
    if ("data" in entry) != ("labels" in entry):
        raise ValueError(f"{key}: `data` and `labels` must be given together")
    names = _strings(entry, "file", (), key)
    if not names:
        raise ValueError(f"{key}.file: at least one file must be given, not none")
    for name in ("data", "labels"):
        _typed(entry, name, str, "", key)
    if base is None:
        return NetworkSource(files=tuple(Path(name) for name in names))
    files: list[Path] = []
    for name in names:
        found = sorted(map(Path, glob(str(base / name)))) if any(letter in name for letter in "*?[") else [base / name]
        if not found:
            raise ValueError(f"{key}.file: {name!r} must match at least one file in {base}")
        files += found
    data, labels = (base / entry[name] if name in entry else None for name in ("data", "labels"))
    return NetworkSource(files=tuple(files), data=data, labels=labels)


def _from_shapes(entry: Mapping[str, Any], key: str, base: Path | None) -> NetworkSource:
    if "data" in entry or "labels" in entry:
        raise ValueError(
            f"{key}: shapes of the zoo or a table have no weights, so `data` and `labels` must not be given"
        )
    if "zoo" in entry and entry["zoo"] not in NETWORKS:
        raise ValueError(f"{key}.zoo: {unknown(entry['zoo'], NETWORKS)}")
    table = Path(_typed(entry, "table", str, "", key)) if "table" in entry else None
    layers = entry.get("layers", {})
    if not isinstance(layers, dict):
        raise ValueError(f"{key}.layers: must be a table of layer = 'MxK', not {layers!r}")
    bits = _strings(entry, "bits", () if table else ("1x1",), key)
    if "bits" in entry and not bits:
        raise ValueError(f"{key}.bits: at least one 'MxK' must be given, not none")
    weights = _strings(entry, "weights", (), key)
    for encoding in weights:
        if encoding not in WEIGHT_ENCODINGS:
            raise ValueError(f"{key}.weights: {unknown(encoding, WEIGHT_ENCODINGS)}")
    return NetworkSource(
        zoo=entry.get("zoo"),
        table=table and (base or Path()) / table,
        weights=tuple(dict.fromkeys(weights)),
        decoding=_decoding(entry, key),
        bits=tuple(bit_pair(text, f"{key}.bits") for text in bits),
        layers=tuple((layer, bit_pair(text, f"{key}.layers.{layer}")) for layer, text in layers.items()),
    )


def _decoding(entry: Mapping[str, Any], key: str) -> Decoding | None:
    """What a language model does, from the table `decoding`; None where it is not given."""
    table = entry.get("decoding")
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ValueError(f"{key}.decoding: must be a table with phase, context or batch, not {table!r}")
    if "zoo" not in entry or not NETWORKS[entry["zoo"]].decodes:
        raise ValueError(f"{key}.decoding: must be given for a built-in language model only")
    _check_keys(table, [item.name for item in fields(Decoding)], f"{key}.decoding.")
    try:
        return Decoding(**table)
    except ValueError as error:
        raise ValueError(f"{key}.decoding: {error}") from error


def bit_pair(text: Any, key: str) -> tuple[int, int]:
    """(M, K) of a text such as '2x4'."""
    match = re.fullmatch(r"(\d+)x(\d+)", text) if isinstance(text, str) else None
    if match is None or not all(1 <= int(part) <= MAX_BITS for part in match.groups()):
        raise ValueError(f"{key}: must be 'MxK' with M and K between 1 and {MAX_BITS}, not {text!r}")
    return int(match[1]), int(match[2])


def _space(data: Any) -> Space:
    if not isinstance(data, dict):
        raise ValueError(f"space: must be a table, not {data!r}")
    names = [item.name for item in fields(Space)]
    _check_keys(data, names, "space.")
    return Space(**{name: _axis(name, value) for name, value in data.items()})


def _axis(name: str, value: Any) -> tuple[Any, ...]:
    key = f"space.{name}"
    values = _spread(value, key) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(_axis_value(name, item, key) for item in values))


def _axis_value(name: str, value: Any, key: str) -> Any:
    if name in CHOICES:
        if value not in CHOICES[name]:
            raise ValueError(f"{key}: {unknown(value, CHOICES[name])}")
        return value
    if name == "port_shared":
        if not isinstance(value, bool):
            raise ValueError(f"{key}: must be true or false, not {value!r}")
        return value
    if name == "clock_mhz":
        return _number(value, key)
    if name in WORDS and value == WORDS[name]:
        return FULL
    low, high = LOWEST.get(name, 1), HIGHEST.get(name, LARGEST)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        word = f" or {WORDS[name]!r}" if name in WORDS else ""
        raise ValueError(f"{key}: must be an integer between {low} and {high}{word}, not {value!r}")
    return value


def _spread(value: Mapping[str, Any], key: str) -> list[int]:
    """{from, to, step} or {from, to, times} as a list of integers."""
    _check_keys(value, ("from", "to", "step", "times"), f"{key}.")
    if "from" not in value or "to" not in value or ("step" in value) == ("times" in value):
        raise ValueError(f"{key}: must give `from`, `to` and one of `step` and `times`, not {sorted(value)}")
    first, last = value["from"], value["to"]
    grow = value.get("step", value.get("times"))
    smallest = 2 if "times" in value else 1
    numbers = all(isinstance(item, int) and not isinstance(item, bool) for item in (first, last, grow))
    if not numbers or grow < smallest or first < 1:
        raise ValueError(f"{key}: must be integers with from >= 1, step >= 1 and times >= 2, not {dict(value)}")
    values, item = [], first
    while item <= last:
        values.append(item)
        if len(values) > MOST_VALUES:
            raise ValueError(f"{key}: must spread over at most {MOST_VALUES} values, not more")
        item = item + grow if "step" in value else item * grow
    return values


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 100_000:
        raise ValueError(f"{key}: must be a number between 0 and 100000, not {value!r}")
    return float(value)


def _strings(data: Mapping[str, Any], name: str, default: Sequence[str], key: str = "") -> list[str]:
    value = data.get(name, list(default))
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{f'{key}.' if key else ''}{name}: must be a text or a list of texts, not {value!r}")
    return value


def _typed(data: Mapping[str, Any], name: str, kind: type, default: Any, key: str = "") -> Any:
    value = data.get(name, default)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{f'{key}.' if key else ''}{name}: must be {kind.__name__}, not {value!r}")
    return value


def _check_keys(data: Mapping[str, Any], known: Sequence[str], prefix: str) -> None:
    for name in data:
        if name not in known:
            raise ValueError(f"{prefix}{name}: {unknown(name, known)}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
