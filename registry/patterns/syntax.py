r"""The syntax of ECMA-262 regular expressions (`u` mode, as JSON Schema asks), parsed into a tree.

Two leniencies of web browsers (ECMA-262 Annex B) that schemas in the wild rely on, and that cannot
be read in any other way, are accepted: a `{`, `}` or `]` that starts or ends nothing is itself, and
any ASCII punctuation may be escaped (`\-`, `\@`). The rest of what `u` mode refuses is refused.
"""

import re

from registry.patterns.characters import (
    DIGIT,
    LINE_TERMINATOR,
    SPACE,
    WORD,
    CharacterSet,
    Property,
    Range,
    UnknownProperty,
    complement,
    property_set,
)
from registry.patterns.tree import (
    Assertion,
    BackReference,
    Characters,
    Choice,
    Group,
    Look,
    Node,
    Parsed,
    Repeat,
    Sequence,
)

__all__ = [
    "MAX_NESTING",
    "Assertion",
    "BackReference",
    "Characters",
    "Choice",
    "Group",
    "InvalidPattern",
    "Look",
    "Node",
    "Parsed",
    "Repeat",
    "Sequence",
    "parse",
]

MAX_NESTING = 50


class InvalidPattern(ValueError):
    """Not a regular expression of ECMA-262; `.position` counts characters from 0."""

    def __init__(self, pattern: str, position: int, reason: str) -> None:
        super().__init__(f"{reason} (at character {position} of the pattern)")
        self.pattern = pattern
        self.position = position
        self.reason = reason


_CONTROL_ESCAPES = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_CLASS_ESCAPES = {"d": DIGIT, "w": WORD, "s": SPACE}
_LOOKS = {"?=": (True, False), "?!": (True, True), "?<=": (False, False), "?<!": (False, True)}
_QUANTIFIERS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_BRACES = re.compile(r"\{(?P<low>[0-9]+)(?P<more>,(?P<high>[0-9]*))?\}")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ ")


def parse(pattern: str) -> Parsed:
    """The tree of a pattern. Raises `InvalidPattern`."""
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.nesting = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self.references: list[BackReference] = []

    def parse(self) -> Parsed:
        tree = self._choice()
        if self.at < len(self.pattern):
            raise self._error("the closing parenthesis has no opening one")
        for reference in self.references:
            known = self.names if isinstance(reference.target, str) else range(1, self.groups + 1)
            if reference.target not in known:
                raise self._error(f"there is no group {reference.target}", reference.position)
        return Parsed(tree, self.names)

    # -- structure ------------------------------------------------------------------------------

    def _choice(self) -> Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            parts.append(self._quantified())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _quantified(self) -> Node:
        start = self.at
        part = self._atom()
        bounds = self._quantifier()
        if bounds is None:
            return part
        if isinstance(part, Assertion | Look):
            raise self._error("a quantifier must follow something that consumes", start)
        lazy = self._take("?")
        if self._quantifier() is not None:
            raise self._error("a quantifier follows a quantifier")
        return Repeat(part, *bounds, lazy, start)

    def _quantifier(self) -> tuple[int, int | None] | None:
        for sign, bounds in _QUANTIFIERS.items():
            if self._take(sign):
                return bounds
        return self._braces()

    def _braces(self) -> tuple[int, int | None] | None:
        found = _BRACES.match(self.pattern, self.at)
        if found is None:
            return None
        low = _bound(found["low"])
        high = low if found["more"] is None else _bound(found["high"]) if found["high"] else None
        if high is not None and high < low:
            raise self._error("the bounds of the quantifier are out of order")
        self.at = found.end()
        return low, high

    def _atom(self) -> Node:
        start, character = self.at, self._next()
        match character:
            case "^" | "$":
                return Assertion(character)
            case ".":
                return Characters(CharacterSet(LINE_TERMINATOR, negated=True), start)
            case "(":
                return self._parenthesis(start)
            case "[":
                return Characters(self._class(), start)
            case "\\":
                return self._escape(start)
            case "*" | "+" | "?":
                raise self._error("a quantifier has nothing to repeat", start)
        if character == "{" and _BRACES.match(self.pattern, start):
            raise self._error("a quantifier has nothing to repeat", start)
        return _single(ord(character), start)

    def _parenthesis(self, start: int) -> Node:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self._error(f"groups nest deeper than {MAX_NESTING} levels", start)
        node = self._group(start)
        self.nesting -= 1
        return node

    def _group(self, start: int) -> Node:
        for sign, (ahead, negated) in _LOOKS.items():
            if self._take(sign):
                return Look(self._closed(start), ahead, negated, start)
        if self._take("?:"):
            return Sequence((self._closed(start),))
        self.groups += 1
        number = self.groups
        if self._take("?<"):
            name = self._group_name()
            if self.names.setdefault(name, number) != number:
                raise self._error(f"the group name {name!r} is used twice", start)
        elif self._peek("?"):
            raise self._error("ECMA-262 has no such group", start)
        return Group(self._closed(start), number)

    def _closed(self, start: int) -> Node:
        inner = self._choice()
        if not self._take(")"):
            raise self._error("the group is not closed", start)
        return inner

    def _group_name(self) -> str:
        end = self.pattern.find(">", self.at)
        name = self.pattern[self.at : end] if end >= 0 else ""
        if not name.replace("$", "_").isidentifier():
            raise self._error("the group needs a name such as (?<year>…)")
        self.at = end + 1
        return name

    # -- escapes --------------------------------------------------------------------------------

    def _escape(self, start: int) -> Node:
        if self._take("b"):
            return Assertion("b")
        if self._take("B"):
            return Assertion("B")
        if self._take("k"):
            if not self._take("<"):
                raise self._error("write a named back-reference as \\k<name>", start)
            return self._reference(self._group_name(), start)
        digits = self._digits()
        if digits and digits[0] != "0":
            return self._reference(int(digits[:6]), start)
        self.at -= len(digits)
        return Characters(self._character_escape(start), start)

    def _reference(self, target: int | str, start: int) -> Node:
        reference = BackReference(target, start)
        self.references.append(reference)
        return reference

    def _character_escape(self, start: int) -> CharacterSet:
        """The set that an escape stands for, inside or outside a class; `\\` is already taken."""
        character = self._next()
        if character.lower() in _CLASS_ESCAPES:
            ranges = _CLASS_ESCAPES[character.lower()]
            return CharacterSet(complement(ranges) if character.isupper() else ranges)
        if character in "pP":
            return self._property(character == "P", start)
        return CharacterSet((self._code_point(character, start),))

    def _code_point(self, character: str, start: int) -> Range:
        if character in _CONTROL_ESCAPES:
            value = _CONTROL_ESCAPES[character]
        elif character == "0" and not self._digits():
            value = 0
        elif character == "c":
            value = self._control_letter(start)
        elif character == "x":
            value = self._hexadecimal(2, start)
        elif character == "u":
            value = self._unicode_escape(start)
        elif character in _PUNCTUATION:
            value = ord(character)
        else:
            raise self._error(f"\\{character} is not an escape of ECMA-262", start)
        return value, value

    def _control_letter(self, start: int) -> int:
        letter = self._next()
        if not (letter.isascii() and letter.isalpha()):
            raise self._error("\\c needs a letter from A to Z", start)
        return ord(letter) % 32

    def _hexadecimal(self, length: int, start: int) -> int:
        digits = self.pattern[self.at : self.at + length]
        if len(digits) < length or not _is_hexadecimal(digits):
            raise self._error(f"{length} hexadecimal digits must follow", start)
        self.at += length
        return int(digits, 16)

    def _unicode_escape(self, start: int) -> int:
        if self._take("{"):
            end = self.pattern.find("}", self.at)
            digits = self.pattern[self.at : end] if end >= 0 else ""
            if not _is_hexadecimal(digits) or int(digits, 16) > 0x10FFFF:
                raise self._error("\\u{…} needs a hexadecimal code point", start)
            self.at = end + 1
            return int(digits, 16)
        value = self._hexadecimal(4, start)
        if 0xD800 <= value < 0xDC00 and self._peek("\\u"):
            return self._surrogate_pair(value, start)
        return value

    def _surrogate_pair(self, high: int, start: int) -> int:
        before = self.at
        self.at += 2
        digits = self.pattern[self.at : self.at + 4]
        if len(digits) == 4 and _is_hexadecimal(digits) and 0xDC00 <= int(digits, 16) < 0xE000:
            return 0x10000 + ((high - 0xD800) << 10) + (self._hexadecimal(4, start) - 0xDC00)
        self.at = before
        return high

    def _property(self, negated: bool, start: int) -> CharacterSet:
        end = self.pattern.find("}", self.at)
        if not self._take("{") or end < 0:
            raise self._error("write a Unicode property as \\p{…}", start)
        expression = self.pattern[self.at : end]
        self.at = end + 1
        try:
            return property_set(expression, negated)
        except UnknownProperty as error:
            raise self._error(str(error), start) from error

    # -- classes --------------------------------------------------------------------------------

    def _class(self) -> CharacterSet:
        start = self.at - 1
        negated = self._take("^")
        ranges: list[Range] = []
        properties: list[Property] = []
        while not self._take("]"):
            if self.at >= len(self.pattern):
                raise self._error("the character class is not closed", start)
            member = self._class_member()
            ranges += member.ranges
            properties += member.properties
        return CharacterSet(tuple(ranges), tuple(properties), negated)

    def _class_member(self) -> CharacterSet:
        start = self.at
        first = self._class_atom()
        if not self._peek("-") or self._peek("-]"):
            return first
        self.at += 1
        last = self._class_atom()
        low, high = _only_code_point(first), _only_code_point(last)
        if low is None or high is None:
            raise self._error("a class such as \\d cannot be the end of a range", start)
        if high < low:
            raise self._error("the range of the character class is out of order", start)
        return CharacterSet(((low, high),))

    def _class_atom(self) -> CharacterSet:
        start, character = self.at, self._next()
        if character != "\\":
            return CharacterSet(((ord(character), ord(character)),))
        if self._take("b"):
            return CharacterSet(((0x08, 0x08),))
        return self._character_escape(start)

    # -- reading --------------------------------------------------------------------------------

    def _next(self) -> str:
        if self.at >= len(self.pattern):
            raise self._error("the pattern ends too early")
        self.at += 1
        return self.pattern[self.at - 1]

    def _peek(self, text: str) -> bool:
        return self.pattern.startswith(text, self.at)

    def _take(self, text: str) -> bool:
        if not self._peek(text):
            return False
        self.at += len(text)
        return True

    def _digits(self) -> str:
        start = self.at
        while self.at < len(self.pattern) and _is_number(self.pattern[self.at]):
            self.at += 1
        return self.pattern[start : self.at]

    def _error(self, reason: str, position: int | None = None) -> InvalidPattern:
        return InvalidPattern(self.pattern, self.at if position is None else position, reason)


def _single(code_point: int, position: int) -> Characters:
    return Characters(CharacterSet(((code_point, code_point),)), position)


def _only_code_point(characters: CharacterSet) -> int | None:
    if characters.properties or len(characters.ranges) != 1:
        return None
    low, high = characters.ranges[0]
    return low if low == high else None


def _bound(digits: str) -> int:
    # Beyond nine digits no text is long enough for the difference to show.
    return int(digits) if len(digits) <= 9 else 10**9


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_hexadecimal(text: str) -> bool:
    return bool(text) and all(character in "0123456789abcdefABCDEF" for character in text)
