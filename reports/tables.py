"""A DataFrame as text for a terminal, as Markdown, as CSV and as an HTML table."""

from collections.abc import Sequence

import pandas as pd

from reports.columns import Column, describe
from reports.wording import cell, escape, printable

LONG = 16


def text_table(frame: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    """An aligned table for a terminal: labels, units where a column has one, then the rows. Numbers stand to the right."""
    shown = _shown(frame, columns)
    units = any(column.shown_unit for column in shown)
    blocks = [_text_column(frame[column.name], column, units) for column in shown]
    return "\n".join("  ".join(line).rstrip() for line in zip(*blocks, strict=True))


def _text_column(values: pd.Series, column: Column, units: bool) -> list[str]:
    """The cells of one column, head first, all padded to the same width."""
    head = [printable(column.label), column.shown_unit][: 1 + units]
    lines = head + [cell(value, column) for value in values]
    width = max(len(line) for line in lines)
    lines.insert(len(head), "-" * width)
    return [line.rjust(width) if _is_numeric(values) else line.ljust(width) for line in lines]


def markdown_table(frame: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    """A GitHub-flavoured Markdown table; numbers stand to the right."""
    shown = _shown(frame, columns)
    rules = ["--:" if _is_numeric(frame[column.name]) else ":--" for column in shown]
    rows = [[_markdown_escape(text) for text in texts] for texts in _cells(frame, shown)]
    lines = [[_markdown_escape(column.heading) for column in shown], rules, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _markdown_escape(text: str) -> str:
    """`text` with the characters that Markdown or HTML would act on made inert."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for char in "\\`*_[]|":
        safe = safe.replace(char, f"\\{char}")
    return safe


def csv_table(frame: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    """The values as they are, for another program: names of the contract as head, no rounding, no separators."""
    names = [column.name for column in _shown(frame, columns)]
    return str(frame[names].to_csv(index=False, lineterminator="\n"))


def html_table(
    frame: pd.DataFrame,
    caption: str,
    *,
    columns: Sequence[str] = (),
    heads: Sequence[str] = (),
    attributes: Sequence[str] = (),
) -> str:
    """An HTML table with a caption and scoped heads.

    `heads` replaces the content of each row's first cell and `attributes` is put into each row's `<tr>`; both are HTML
    and must be safe already. Everything else is escaped here.
    """
    shown = _shown(frame, columns)
    looks = [_look(frame[column.name]) for column in shown]
    top = "".join(_html_head(column, look) for column, look in zip(shown, looks, strict=True))
    body = [
        _html_row(texts, looks, heads[place] if heads else "", attributes[place] if attributes else "")
        for place, texts in enumerate(_cells(frame, shown))
    ]
    return (
        f'<div class="table" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{''.join(body)}</tbody></table></div>\n"
    )


def _html_head(column: Column, look: str) -> str:
    unit = f'<span class="unit">{escape(column.shown_unit)}</span>' if column.shown_unit else ""
    return f'<th scope="col"{look}>{escape(column.label)}{unit}</th>'


def _html_row(texts: Sequence[str], looks: Sequence[str], head: str, attributes: str) -> str:
    first = f'<th scope="row"{looks[0]}>{head or escape(texts[0])}</th>'
    rest = "".join(f"<td{look}>{escape(text)}</td>" for text, look in zip(texts[1:], looks[1:], strict=True))
    return f"<tr{' ' + attributes if attributes else ''}>{first}{rest}</tr>\n"


def _look(values: pd.Series) -> str:
    """The class of a column: numbers to the right, long text in a column that may break it anywhere."""
    if _is_numeric(values):
        return ' class="n"'
    return ' class="long"' if any(len(str(value)) > LONG for value in values) else ""


def _shown(frame: pd.DataFrame, columns: Sequence[str]) -> list[Column]:
    """The columns to show: those asked for that exist, or all."""
    names = [name for name in columns if name in frame.columns] if columns else list(frame.columns)
    if not names:
        raise ValueError(
            f"a table must have at least one column, not {list(frame.columns)} narrowed to {list(columns)}"
        )
    return [describe(str(name)) for name in names]


def _cells(frame: pd.DataFrame, shown: Sequence[Column]) -> list[list[str]]:
    """The table as rows of text."""
    by_column = [[cell(value, column) for value in frame[column.name]] for column in shown]
    return [list(texts) for texts in zip(*by_column, strict=True)]


def _is_numeric(values: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values))
