r"""Regular expressions of JSON Schema: ECMA-262 in `u` mode, unanchored, run in linear time.

A pattern is parsed as ECMA-262 and printed for google-re2, so that `^` and `$` are the ends of the
text, `\d` and `\w` are ASCII, `\s` is ECMA's white space, `.` stops at ECMA's line terminators and
`\p{…}` are Unicode properties. What RE2 cannot run in linear time (look-around, back-references,
repetitions beyond 1000 or larger than `MAX_PROGRAM` instructions) is refused at admission
(`linear_refusal`); given straight to `compile_pattern` it runs on Python's `re`, in whatever time
that takes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from registry.patterns.printers import NotLinear, to_python, to_re2
from registry.patterns.syntax import InvalidPattern, parse
from registry.patterns.tree import Parsed

__all__ = ["CompiledPattern", "InvalidPattern", "NotLinear", "compile_pattern", "linear_refusal"]

MAX_PROGRAM = 20_000
"""Instructions of a compiled program: what a character may cost at worst."""


@dataclass(frozen=True)
class CompiledPattern:
    """A pattern ready to run. `re2` is its RE2 syntax, None where only Python's `re` can run it."""

    source: str
    re2: str | None
    search: Callable[[str], bool]


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> CompiledPattern:
    """The matcher of an ECMA-262 pattern.

    Raises `InvalidPattern` where it is not ECMA-262, or uses what no engine here can run.
    """
    parsed = parse(pattern)
    try:
        return _linear(pattern, parsed)
    except NotLinear:
        return _backtracking(pattern, parsed)


@lru_cache(maxsize=4096)
def linear_refusal(pattern: str) -> NotLinear | InvalidPattern | None:
    """Why a pattern is not in the linear-time subset; None where it is."""
    try:
        steps = _program(to_re2(parse(pattern))).programsize
    except (InvalidPattern, NotLinear) as refusal:
        return refusal
    if steps > MAX_PROGRAM:
        return NotLinear(0, f"compiles to {steps} steps, more than {MAX_PROGRAM}: repeat less")
    return None


def _linear(pattern: str, parsed: Parsed) -> CompiledPattern:
    translated = to_re2(parsed)
    program = _program(translated)
    return CompiledPattern(pattern, translated, lambda text: program.search(text) is not None)


def _program(translated: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(translated, options)
    except re2.error as error:
        raise NotLinear(0, "too large to run in linear time: repeat less") from error


def _backtracking(pattern: str, parsed: Parsed) -> CompiledPattern:
    try:
        program = re.compile(to_python(parsed))
    except (re.error, OverflowError) as error:
        raise InvalidPattern(pattern, 0, f"no engine here can run it: {error}") from error
    return CompiledPattern(pattern, None, lambda text: program.search(text) is not None)
