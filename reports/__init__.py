"""What results look like: tables for a terminal and for files, figures, one HTML page. Knows no model and no search."""

from reports.columns import COLUMNS, Column
from reports.gallery import pictures
from reports.images import write_images
from reports.page import render_page, write_page
from reports.report import Report
from reports.tables import csv_table, html_table, markdown_table, text_table

__all__ = [
    "COLUMNS",
    "Column",
    "Report",
    "csv_table",
    "html_table",
    "markdown_table",
    "pictures",
    "render_page",
    "text_table",
    "write_images",
    "write_page",
]
