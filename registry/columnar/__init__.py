"""The column check: a table judged against a schema at memory speed, exactly as `is_valid` would.

A row is a JSON object, its cells written as `registry.cells` writes them. The schema is compiled
into a tree of nodes (one per subschema) and checks (one per keyword); a check answers for a whole
column with a mask, combinators are mask algebra, and what the masks cannot say is left to the
reference.
"""

from registry.columnar.checks import Engine
from registry.columnar.compiler import PlanStep
from registry.columnar.validator import FrameValidator, compile_schema
from registry.columnar.verdict import FrameVerdict, Sample, Violation

__all__ = [
    "Engine",
    "FrameValidator",
    "FrameVerdict",
    "PlanStep",
    "Sample",
    "Violation",
    "compile_schema",
]
