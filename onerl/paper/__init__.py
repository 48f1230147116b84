"""The paper beside ours."""

from onerl.paper.numbers import FOOTNOTES, TEXT, footnotes, row, table, tables

__all__ = ["FOOTNOTES", "TEXT", "footnotes", "row", "table", "tables"]
