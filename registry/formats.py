r"""The values of `format` that are asserted, each with its grammar.

| format | meaning |
|---|---|
| date-time, date, time | RFC 3339 section 5.6: real dates, an offset always, `T` and `Z` in any case; second 60 only where the time is 23:59:60 UTC and, with a date, the day is the last of a month |
| duration | RFC 3339 appendix A |
| email | RFC 5321 Mailbox |
| hostname | RFC 1123: labels of 1 to 63 ASCII letters, digits and hyphens, 253 characters in all; an `xn--` label is not decoded |
| ipv4, ipv6 | RFC 2673 section 3.2; RFC 4291 section 2.2, without a zone |
| uri, uri-reference | RFC 3986; `uri` needs a scheme |
| iri, iri-reference | RFC 3987; `iri` needs a scheme |
| uri-template | RFC 6570 |
| uuid | RFC 4122, any version and variant |
| json-pointer, relative-json-pointer | RFC 6901; draft-bhutton-relative-json-pointer-00 |
| regex | ECMA-262 in `u` mode (`registry.patterns`) |

They are asserted in every dialect, for strings only. Every other value of `format` is an annotation.
"""  # noqa: E501

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from registry.patterns import InvalidPattern
from registry.patterns.syntax import parse as parse_pattern

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[zZ]|([+-])(\d\d):(\d\d))", re.ASCII)
_DURATION = re.compile(
    r"P(?!\Z)(?:\d+W|(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)?"
    r"(?:T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S))?)",
    re.ASCII,
)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"(?:[ !#-\[\]-~]|\\[ -~])*"')
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!\Z)|\Z)){4}", re.ASCII)
_IPV6_CHARACTERS = re.compile(r"[0-9A-Fa-f:.]+")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_JSON_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")
_RELATIVE_JSON_POINTER = re.compile(r"(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~[01])*)*)")

_UCSCHAR = (
    "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U0001fffd\U00020000-\U0002fffd"
    "\U00030000-\U0003fffd\U00040000-\U0004fffd\U00050000-\U0005fffd\U00060000-\U0006fffd"
    "\U00070000-\U0007fffd\U00080000-\U0008fffd\U00090000-\U0009fffd\U000a0000-\U000afffd"
    "\U000b0000-\U000bfffd\U000c0000-\U000cfffd\U000d0000-\U000dfffd\U000e1000-\U000efffd"
)
_IPRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"


def _reference_grammar(beyond_ascii: str, private: str) -> re.Pattern[str]:
    """RFC 3986 URI-reference (RFC 3987 with the wider characters), parts in named groups."""
    characters = rf"A-Za-z0-9\-._~!$&'()*+,;={beyond_ascii}"
    escaped = "%[0-9A-Fa-f]{2}"
    segment = rf"(?:[{characters}:@]|{escaped})"
    return re.compile(
        r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*):)?"
        rf"(?:(?P<authority>//(?:(?:[{characters}:]|{escaped})*@)?"
        rf"(?:\[(?P<literal>[^\[\]]*)\]|(?:[{characters}]|{escaped})*)(?::[0-9]*)?)"
        rf"(?:/{segment}*)*"
        rf"|(?P<path>/?(?:{segment}+(?:/{segment}*)*)?))"
        rf"(?:\?(?:{segment}|[/?{private}])*)?(?:#(?:{segment}|[/?])*)?"
    )


_URI = _reference_grammar("", "")
_IRI = _reference_grammar(_UCSCHAR, _IPRIVATE)
_IP_FUTURE = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+")

_VARIABLE = r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*"
_SPECIFICATION = rf"{_VARIABLE}(?::[1-9][0-9]{{0,3}}|\*)?"
_URI_TEMPLATE = re.compile(
    rf"(?:[!#$&(-;=?-\[\]_a-z~{_UCSCHAR}{_IPRIVATE}]|%[0-9A-Fa-f]{{2}}"
    rf"|\{{[+#./;?&=,!@|]?{_SPECIFICATION}(?:,{_SPECIFICATION})*\}})*"
)


def is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    return found is not None and _is_day(*map(int, found.groups()))


def is_time(text: str) -> bool:
    return _time_shift(text) is not None


def is_date_time(text: str) -> bool:
    day, separator, time = text[:10], text[10:11], text[11:]
    shift = _time_shift(time)
    if separator not in ("T", "t") or not is_date(day) or shift is None:
        return False
    return time[6:8] != "60" or _is_last_of_month(day, shift)


def _is_day(year: int, month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _days_in_month(year, month)


def _days_in_month(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _time_shift(text: str) -> int | None:
    """Days from the local date of a time to its UTC date (-1, 0, 1); None if it is no time."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = map(int, found.group(1, 2, 3))
    away, away_minutes = int(found[5] or 0), int(found[6] or 0)
    if hour > 23 or minute > 59 or second > 60 or away > 23 or away_minutes > 59:
        return None
    offset = (away * 60 + away_minutes) * (-1 if found[4] == "-" else 1)
    shift, utc_minute = divmod(hour * 60 + minute - offset, 24 * 60)
    return shift if second < 60 or utc_minute == 24 * 60 - 1 else None


def _is_last_of_month(day: str, shift: int) -> bool:
    year, month, number = int(day[:4]), int(day[5:7]), int(day[8:])
    return number == 1 if shift < 0 else number + shift == _days_in_month(year, month)


def is_hostname(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in text.split("."))


def is_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    if not at or len(local) > 64 or not _LOCAL_PART.fullmatch(local):
        return False
    if domain.startswith("[") and domain.endswith("]"):
        literal = domain[1:-1]
        return is_ipv6(literal[5:]) if literal.startswith("IPv6:") else is_ipv4(literal)
    return is_hostname(domain)


def is_ipv4(text: str) -> bool:
    return _IPV4.fullmatch(text) is not None


def is_ipv6(text: str) -> bool:
    if not _IPV6_CHARACTERS.fullmatch(text):
        return False
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_regex(text: str) -> bool:
    try:
        parse_pattern(text)
    except InvalidPattern:
        return False
    return True


def _is_reference(grammar: re.Pattern[str], text: str, *, absolute: bool) -> bool:
    found = grammar.fullmatch(text)
    if found is None or (absolute and found["scheme"] is None):
        return False
    path = found["path"] or ""
    if found["scheme"] is None and ":" in path.split("/", 1)[0]:
        return False  # a relative path may not look like a scheme
    literal = found["literal"]
    return literal is None or is_ipv6(literal) or _IP_FUTURE.fullmatch(literal) is not None


def _grammar(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _reference(grammar: re.Pattern[str], *, absolute: bool) -> Callable[[str], bool]:
    return lambda text: _is_reference(grammar, text, absolute=absolute)


ASSERTED_FORMATS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "date": is_date,
        "date-time": is_date_time,
        "duration": _grammar(_DURATION),
        "email": is_email,
        "hostname": is_hostname,
        "ipv4": is_ipv4,
        "ipv6": is_ipv6,
        "iri": _reference(_IRI, absolute=True),
        "iri-reference": _reference(_IRI, absolute=False),
        "json-pointer": _grammar(_JSON_POINTER),
        "regex": is_regex,
        "relative-json-pointer": _grammar(_RELATIVE_JSON_POINTER),
        "time": is_time,
        "uri": _reference(_URI, absolute=True),
        "uri-reference": _reference(_URI, absolute=False),
        "uri-template": _grammar(_URI_TEMPLATE),
        "uuid": _grammar(_UUID),
    }
)
"""Every asserted value of `format`, with its test of a string."""
