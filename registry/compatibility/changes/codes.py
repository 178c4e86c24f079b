"""The stable codes of changes: what each says, and the usual way out where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Code:
    """A sentence with places for `where`, `name`, `old` and `new`, and a fix for who is refused."""

    sentence: str
    fix: str | None = None


_CLOSE = (
    'Declare the property while the model is closed ("additionalProperties": false), or leave its '
    "schema empty: an open model already allows the name with any value."
)
_KEEP = "Keep the old limit, or start a new subject for the stricter data."
_OPTIONAL = "Leave it optional, or keep a schema that allows it to be absent."

_SPECIAL: dict[str, Code] = {
    "type_widened": Code("{where} may be of more types: {old} becomes {new}."),
    "type_narrowed": Code(
        "{where} may be of fewer types: {old} becomes {new}.",
        "Keep the old types beside the new one.",
    ),
    "type_changed": Code(
        "{where} changes its type from {old} to {new}.",
        "Allow both types for a while, or add a property with a new name.",
    ),
    "enum_added": Code("{where} is limited to a list of values: {new}.", _KEEP),
    "enum_removed": Code("{where} is no longer limited to a list of values."),
    "enum_value_added": Code(
        "{where} may have more values: {new}.",
        "Readers of the old version do not expect the new values: tell them first.",
    ),
    "enum_value_removed": Code(
        "{where} may no longer be {old}.", "Keep the value in the list and deprecate it."
    ),
    "required_added": Code("The property {name} becomes required in {where}.", _OPTIONAL),
    "required_removed": Code(
        "The property {name} becomes optional in {where}.",
        "Readers of the old version rely on it: keep it required for them.",
    ),
    "property_added": Code("The property {name} is declared in {where}.", _CLOSE),
    "property_removed": Code(
        "The property {name} is no longer declared in {where}.",
        "Keep it declared and deprecate it.",
    ),
    "pattern_property_added": Code("Properties matching {name} are declared in {where}.", _CLOSE),
    "pattern_property_removed": Code(
        "Properties matching {name} are no longer declared in {where}."
    ),
    "additional_properties_changed": Code(
        "What other properties of {where} may be changes from {old} to {new}.",
        'Leave "additionalProperties" as it is.',
    ),
    "unevaluated_properties_changed": Code(
        "What properties of {where} that nothing else declares may be changes from {old} to {new}."
    ),
    "unevaluated_items_changed": Code(
        "What items of {where} that nothing else declares may be changes from {old} to {new}."
    ),
    "dependency_added": Code(
        "In {where}, the presence of {name} now demands something.", _OPTIONAL
    ),
    "dependency_removed": Code("In {where}, the presence of {name} demands nothing any more."),
    "dependency_changed": Code("In {where}, what the presence of {name} demands changes."),
    "items_changed": Code(
        "What the items of {where} may be changes.", "Keep the old item schemas."
    ),
    "contains_changed": Code("What {where} must contain changes from {old} to {new}.", _KEEP),
    "branch_added": Code("{where} gains a branch in {name}."),
    "branch_removed": Code("{where} loses a branch of {name}.", "Keep the branch."),
    "branches_changed": Code(
        "The branches of {name} in {where} change.",
        "Make the branches of oneOf exclude each other, for instance by a constant property.",
    ),
    "negation_changed": Code("What {where} must not be changes."),
    "condition_changed": Code("The if/then/else of {where} changes."),
    "reference_changed": Code("What {where} refers to changes from {old} to {new}."),
    "schema_replaced": Code("The schema of {where} is replaced: {old} becomes {new}."),
    "dialect_changed": Code("The draft of JSON Schema changes from {old} to {new}."),
    "frame_changed": Code(
        "The frame of the rows changes: {name} was {old} and becomes {new}.",
        "Time, unit and key of a subject never change: start a new subject.",
    ),
    "sensitive_changed": Code("The sensitive columns change from {old} to {new}."),
    "annotation_changed": Code("The annotation {name} of {where} changes; it affects no data."),
    "meaning_changed": Code(
        "The parts together change what documents are valid; the example shows one."
    ),
}

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "minimum": "minimum",
        "maximum": "maximum",
        "exclusiveMinimum": "exclusive_minimum",
        "exclusiveMaximum": "exclusive_maximum",
        "minLength": "min_length",
        "maxLength": "max_length",
        "minItems": "min_items",
        "maxItems": "max_items",
        "minProperties": "min_properties",
        "maxProperties": "max_properties",
    }
)
"""Keywords whose value is a limit that can rise or fall, and the stem of their codes."""

ASSERTIONS: Mapping[str, str] = MappingProxyType(
    {
        "multipleOf": "multiple_of",
        "pattern": "pattern",
        "format": "format",
        "const": "const",
        "uniqueItems": "unique_items",
        "propertyNames": "property_names",
    }
)
"""Keywords that stand alone, and the stem of their codes."""


def _limit_codes() -> dict[str, Code]:
    made: dict[str, Code] = {}
    for keyword, stem in LIMITS.items():
        made[f"{stem}_added"] = Code(f"{{where}} gets {keyword} {{new}}.", _KEEP)
        made[f"{stem}_removed"] = Code(f"{{where}} loses {keyword} {{old}}.")
        made[f"{stem}_raised"] = Code(
            f"The {keyword} of {{where}} rises from {{old}} to {{new}}.", _KEEP
        )
        made[f"{stem}_lowered"] = Code(
            f"The {keyword} of {{where}} falls from {{old}} to {{new}}.", _KEEP
        )
    for keyword, stem in ASSERTIONS.items():
        made[f"{stem}_added"] = Code(f"{{where}} gets {keyword} {{new}}.", _KEEP)
        made[f"{stem}_removed"] = Code(f"{{where}} loses {keyword} {{old}}.")
        made[f"{stem}_changed"] = Code(
            f"The {keyword} of {{where}} changes from {{old}} to {{new}}.", _KEEP
        )
    return made


CODES: Mapping[str, Code] = MappingProxyType({**_limit_codes(), **_SPECIAL})
"""Every code a change can have."""
