"""Does a new version of a schema break anyone? Proof, a document that shows it, or "not proven"."""

from registry.compatibility.check import check_compatibility
from registry.compatibility.report import (
    Change,
    CompatibilityReport,
    Level,
    Witness,
)
from registry.validity import InvalidSchema

__all__ = [
    "Change",
    "CompatibilityReport",
    "InvalidSchema",
    "Level",
    "Witness",
    "check_compatibility",
]
