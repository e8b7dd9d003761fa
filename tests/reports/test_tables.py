"""A small table in its four forms."""

import pandas as pd
import pytest

from reports.tables import csv_table, html_table, markdown_table, text_table

TABLE = pd.DataFrame({"layer": ["conv1", "fc|<i>"], "macs": [1234567, 89], "energy_nj": [12.345, float("nan")]})


def test_a_terminal_table_is_aligned() -> None:
    assert text_table(TABLE).splitlines() == [
        "Layer   Multiply-accumulates  Energy per inference",
        "                                                nJ",
        "------  --------------------  --------------------",
        "conv1              1,234,567                  12.3",
        "fc|<i>                    89                     \u2013",
    ]


def test_markdown_escapes_what_would_act() -> None:
    assert markdown_table(TABLE, ("layer", "macs")).splitlines() == [
        "| Layer | Multiply-accumulates |",
        "| :-- | --: |",
        "| conv1 | 1,234,567 |",
        "| fc\\|&lt;i&gt; | 89 |",
    ]


def test_csv_keeps_names_and_values_as_they_are() -> None:
    assert csv_table(TABLE) == "layer,macs,energy_nj\nconv1,1234567,12.345\nfc|<i>,89,\n"


def test_html_has_caption_scopes_and_escaped_cells() -> None:
    page = html_table(TABLE, "Two <layers>", columns=("layer", "energy_nj"))
    assert "<caption>Two &lt;layers&gt;</caption>" in page
    assert '<th scope="col" class="n">Energy per inference<span class="unit">nJ</span></th>' in page
    assert '<th scope="row">fc|&lt;i&gt;</th><td class="n">\u2013</td>' in page


def test_html_takes_heads_and_row_attributes() -> None:
    page = html_table(TABLE, "c", heads=["<a>1</a>", "<a>2</a>"], attributes=['id="row-1"', ""])
    assert '<tr id="row-1"><th scope="row"><a>1</a></th>' in page
    assert '<tr><th scope="row"><a>2</a></th>' in page


def test_columns_that_do_not_exist_are_skipped_but_one_must_be_left() -> None:
    assert text_table(TABLE, ("dsp", "macs")).startswith("Multiply-accumulates\n")
    with pytest.raises(ValueError, match="at least one column"):
        text_table(TABLE, ("dsp",))


def test_an_empty_table_is_a_head() -> None:
    assert text_table(TABLE.iloc[:0], ("layer",)).splitlines() == ["Layer", "-----"]
