"""How a cell of an Arrow table is written as JSON.

One set of functions for the column check and for the JSON serialiser, so that what is judged is
what is sent:

==========================  ====================================================================
Arrow                       JSON
==========================  ====================================================================
null, any null cell         ``null``
bool                        ``true`` / ``false``
(u)int8 … (u)int64          a number with all its digits
float16, float32, float64   the shortest text of the widened double; NaN and infinity have none
decimal32 … decimal256      a number with exactly the digits of the column's scale
string, large, view         a string
timestamp                   RFC 3339 in UTC with ``Z``; a naive timestamp is taken as UTC
date32, date64              ``YYYY-MM-DD``
list, large, fixed size     an array
struct                      an object
dictionary                  what its value is written as
==========================  ====================================================================

The *time column* of the frame (design: ``x-seamless``) follows the schema instead of the store: an
instant or a date is written as an integer of ``unit``, or in RFC 3339 where there is no unit. An
instant that is no whole number of that unit stays RFC 3339: nothing is rounded.
"""

from registry.cells.instants import Unit, instants_as_integers
from registry.cells.text import json_text
from registry.cells.writing import (
    Cell,
    DuplicateColumn,
    UnwritableColumn,
    refuse_unwritable,
    write_cells,
    write_rows,
)

__all__ = [
    "Cell",
    "DuplicateColumn",
    "Unit",
    "UnwritableColumn",
    "instants_as_integers",
    "json_text",
    "refuse_unwritable",
    "write_cells",
    "write_rows",
]
