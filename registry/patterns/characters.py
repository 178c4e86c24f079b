"""Sets of characters as ECMA-262 means them: ranges of code points and Unicode properties."""

from dataclasses import dataclass
from functools import cache

import re2  # type: ignore[import-untyped]

LAST_CODE_POINT = 0x10FFFF
_FIRST_SURROGATE, _LAST_SURROGATE = 0xD800, 0xDFFF

Range = tuple[int, int]


@dataclass(frozen=True)
class Property:
    """A Unicode property by the name that RE2 knows it by."""

    name: str
    negated: bool = False


@dataclass(frozen=True)
class CharacterSet:
    """Code points in one of `ranges` or with one of `properties`; all others where `negated`."""

    ranges: tuple[Range, ...] = ()
    properties: tuple[Property, ...] = ()
    negated: bool = False


def merged(ranges: list[Range]) -> tuple[Range, ...]:
    """Sorted, disjoint ranges of the same code points."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges of all other code points."""
    bounds = [-1, *(bound for pair in merged(list(ranges)) for bound in pair), LAST_CODE_POINT + 1]
    pairs = zip(bounds[::2], bounds[1::2], strict=True)
    return tuple((low + 1, high - 1) for low, high in pairs if low + 1 <= high - 1)


DIGIT: tuple[Range, ...] = ((0x30, 0x39),)
WORD: tuple[Range, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
LINE_TERMINATOR: tuple[Range, ...] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
# ECMA-262 WhiteSpace and LineTerminator: with U+FEFF, without U+0085 and U+001C to U+001F.
SPACE: tuple[Range, ...] = (
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)

_GENERAL_CATEGORIES = {
    "L": "Letter",
    "LC": "Cased_Letter",
    "Lu": "Uppercase_Letter",
    "Ll": "Lowercase_Letter",
    "Lt": "Titlecase_Letter",
    "Lm": "Modifier_Letter",
    "Lo": "Other_Letter",
    "M": "Mark Combining_Mark",
    "Mn": "Nonspacing_Mark",
    "Mc": "Spacing_Mark",
    "Me": "Enclosing_Mark",
    "N": "Number",
    "Nd": "Decimal_Number digit",
    "Nl": "Letter_Number",
    "No": "Other_Number",
    "P": "Punctuation punct",
    "Pc": "Connector_Punctuation",
    "Pd": "Dash_Punctuation",
    "Ps": "Open_Punctuation",
    "Pe": "Close_Punctuation",
    "Pi": "Initial_Punctuation",
    "Pf": "Final_Punctuation",
    "Po": "Other_Punctuation",
    "S": "Symbol",
    "Sm": "Math_Symbol",
    "Sc": "Currency_Symbol",
    "Sk": "Modifier_Symbol",
    "So": "Other_Symbol",
    "Z": "Separator",
    "Zs": "Space_Separator",
    "Zl": "Line_Separator",
    "Zp": "Paragraph_Separator",
    "C": "Other",
    "Cc": "Control cntrl",
    "Cf": "Format",
    "Cs": "Surrogate",
    "Co": "Private_Use",
    "Cn": "Unassigned",
}
_CATEGORY_OF_NAME = {
    name: short for short, longs in _GENERAL_CATEGORIES.items() for name in (short, *longs.split())
}
_SCRIPT_OF_CODE = {
    "Arab": "Arabic",
    "Armn": "Armenian",
    "Beng": "Bengali",
    "Bopo": "Bopomofo",
    "Cyrl": "Cyrillic",
    "Deva": "Devanagari",
    "Ethi": "Ethiopic",
    "Geor": "Georgian",
    "Grek": "Greek",
    "Gujr": "Gujarati",
    "Guru": "Gurmukhi",
    "Hang": "Hangul",
    "Hani": "Han",
    "Hebr": "Hebrew",
    "Hira": "Hiragana",
    "Kana": "Katakana",
    "Khmr": "Khmer",
    "Knda": "Kannada",
    "Laoo": "Lao",
    "Latn": "Latin",
    "Mlym": "Malayalam",
    "Mong": "Mongolian",
    "Mymr": "Myanmar",
    "Orya": "Oriya",
    "Sinh": "Sinhala",
    "Taml": "Tamil",
    "Telu": "Telugu",
    "Thai": "Thai",
    "Tibt": "Tibetan",
    "Zyyy": "Common",
    "Zinh": "Inherited",
}
_UNIONS_OF_CATEGORIES = {"LC": "Lu Ll Lt", "Assigned": "L M N P S Z Cc Cf Co Cs"}
_COMPLEMENTS_OF_CATEGORIES = {"C": "L M N P S Z", "Cn": "L M N P S Z Cc Cf Co Cs"}


class UnknownProperty(ValueError):
    """No such Unicode property, or one that RE2 has no table for."""


def property_set(expression: str, negated: bool) -> CharacterSet:
    r"""The characters of `\p{expression}` (ECMA-262 UnicodePropertyValueExpression).

    General categories by every name they have, `Script=`, and the binary properties Any, ASCII,
    ASCII_Hex_Digit and Assigned. Raises `UnknownProperty` for the rest.
    """
    name, equals, value = expression.partition("=")
    if not equals:
        return _lone_property(name, negated)
    if name in ("General_Category", "gc") and value in _CATEGORY_OF_NAME:
        return _category(_CATEGORY_OF_NAME[value], negated)
    script = _SCRIPT_OF_CODE.get(value, value)
    if name in ("Script", "sc") and len(script) > 2 and _is_known_to_re2(script):
        return CharacterSet(properties=(Property(script, negated),))
    raise UnknownProperty(
        f"the Unicode property {expression!r} is not supported: use a general category such as "
        "'Lu' or a script by its long name such as 'Script=Greek'"
    )


def _lone_property(name: str, negated: bool) -> CharacterSet:
    if name in _CATEGORY_OF_NAME:
        return _category(_CATEGORY_OF_NAME[name], negated)
    if name == "Assigned":
        return _of_ranges(_ranges_of_categories(_UNIONS_OF_CATEGORIES[name]), negated)
    if name in ("ASCII_Hex_Digit", "AHex"):
        return _of_ranges(((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)), negated)
    if name in ("Any", "ASCII"):
        return _of_ranges(((0, LAST_CODE_POINT if name == "Any" else 0x7F),), negated)
    hint = f"'Script={name}'" if len(name) > 2 and _is_known_to_re2(name) else "'Lu'"
    raise UnknownProperty(f"the Unicode property {name!r} is not supported: write e.g. {hint}")


def _category(short: str, negated: bool) -> CharacterSet:
    if short in _UNIONS_OF_CATEGORIES:
        return _of_ranges(_ranges_of_categories(_UNIONS_OF_CATEGORIES[short]), negated)
    if short in _COMPLEMENTS_OF_CATEGORIES:
        others = _ranges_of_categories(_COMPLEMENTS_OF_CATEGORIES[short])
        return _of_ranges(complement(others), negated)
    return CharacterSet(properties=(Property(short, negated),))


def _of_ranges(ranges: tuple[Range, ...], negated: bool) -> CharacterSet:
    return CharacterSet(complement(ranges) if negated else ranges)


def _ranges_of_categories(names: str) -> tuple[Range, ...]:
    return merged([pair for name in names.split() for pair in ranges_of(Property(name))])


@cache
def ranges_of(property: Property) -> tuple[Range, ...]:
    """The code points of a property, as RE2's own tables have them."""
    if property.name == "Cs":  # UTF-8 cannot hold them, so RE2 never finds one
        ranges: tuple[Range, ...] = ((_FIRST_SURROGATE, _LAST_SURROGATE),)
    else:
        pattern = re2.compile(rf"\p{{{property.name}}}+")
        ranges = tuple(
            (ord(match.group()[0]), ord(match.group()[-1]))
            for plane in _all_characters()
            for match in pattern.finditer(plane)
        )
    return complement(ranges) if property.negated else merged(list(ranges))


def _all_characters() -> tuple[str, str]:
    below = "".join(map(chr, range(_FIRST_SURROGATE)))
    above = "".join(map(chr, range(_LAST_SURROGATE + 1, LAST_CODE_POINT + 1)))
    return below, above


@cache
def _is_known_to_re2(name: str) -> bool:
    if not name.replace("_", "").isalnum() or not name.isascii():
        return False
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(rf"\p{{{name}}}", options)
    except re2.error:
        return False
    return True
