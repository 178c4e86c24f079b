r"""What the prover knows about asserted formats: patterns around and inside each, and samples.

`_OUTER` holds every string of the format, `_INNER` only such strings; where both are the same
pattern the format is regular and decided exactly. A test holds them against `registry.formats`.
"""

from __future__ import annotations

_DIGITS = "0[1-9]|1[0-2]"
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d:"
_OFFSET = r"(\.\d+)?([zZ]|[+-]([01]\d|2[0-3]):[0-5]\d)"
_DAY = rf"\d{{4}}-({_DIGITS})-"
_HEX = "[0-9A-Fa-f]"
_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PERIOD = r"(\d+Y(\d+M(\d+D)?)?|\d+M(\d+D)?|\d+D)"
_HOURS = r"T(\d+H(\d+M(\d+S)?)?|\d+M(\d+S)?|\d+S)"
_WORD = "[A-Za-z0-9_+-]"
_UNSPACED = r'[^\u0000-\u0020"<>]*'

_REGULAR = {
    "duration": rf"^P(\d+W|{_PERIOD}({_HOURS})?|{_HOURS})$",
    "ipv4": rf"^{_OCTET}(\.{_OCTET}){{3}}$",
    "json-pointer": "^(/([^~/]|~[01])*)*$",
    "relative-json-pointer": "^(0|[1-9][0-9]*)(#|(/([^~/]|~[01])*)*)$",
    "uuid": rf"^{_HEX}{{8}}(-{_HEX}{{4}}){{3}}-{_HEX}{{12}}$",
}
_OUTER = {
    "date": rf"^{_DAY}(0[1-9]|[12]\d|3[01])$",
    "date-time": rf"^{_DAY}(0[1-9]|[12]\d|3[01])[Tt]{_CLOCK}([0-5]\d|60){_OFFSET}$",
    "time": rf"^{_CLOCK}([0-5]\d|60){_OFFSET}$",
    "email": r"^[ -~]{1,64}@[A-Za-z0-9.:\[\]-]+$",
    "hostname": rf"^{_LABEL}(\.{_LABEL})*$",
    "ipv6": r"^[0-9A-Fa-f:.]{2,45}$",
    "uri": "^[A-Za-z][A-Za-z0-9+.-]*:[!-~]*$",
    "uri-reference": "^[!-~]*$",
    "iri": rf"^[A-Za-z][A-Za-z0-9+.-]*:{_UNSPACED}$",
    "iri-reference": rf"^{_UNSPACED}$",
    "uri-template": r"^[^\u0000-\u0020]*$",
}
_INNER = {
    "date": rf"^{_DAY}(0[1-9]|1\d|2[0-8])$",
    "date-time": rf"^{_DAY}(0[1-9]|1\d|2[0-8])[Tt]{_CLOCK}[0-5]\d{_OFFSET}$",
    "time": rf"^{_CLOCK}[0-5]\d{_OFFSET}$",
    "email": rf"^{_WORD}{{1,30}}(\.{_WORD}{{1,30}})?@[A-Za-z0-9]{{1,40}}(\.[a-z]{{1,40}}){{0,3}}$",
    "hostname": rf"^{_LABEL}(\.{_LABEL}){{0,2}}$",
    "ipv6": rf"^{_HEX}{{1,4}}(:{_HEX}{{1,4}}){{7}}$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.-]+(/[A-Za-z0-9._~-]*)*$",
    "uri-reference": r"^[A-Za-z0-9._~/-]*$",
    "iri": r"^[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9.-]+(/[A-Za-z0-9._~-]*)*$",
    "iri-reference": r"^[A-Za-z0-9._~/-]*$",
    "uri-template": "^[A-Za-z0-9._~/:-]*$",
    "regex": "^[A-Za-z0-9 ]*$",
}
_IMPLIED = {
    "uri": frozenset({"uri-reference", "iri", "iri-reference"}),
    "uri-reference": frozenset({"iri-reference"}),
    "iri": frozenset({"iri-reference"}),
    "ipv4": frozenset({"hostname"}),
}
_SAMPLES: dict[str, tuple[str, ...]] = {
    "date": ("2024-01-31", "2024-02-30", "2024-02-29", "1999-12-31"),
    "date-time": (
        "2024-01-31T00:00:00Z",
        "2024-01-31T00:00:00",
        "2024-06-30T12:30:45.5+02:00",
        "2024-02-30T00:00:00Z",
        "2016-12-31T23:59:60Z",
    ),
    "time": ("12:30:45Z", "12:30:45", "00:00:00.5+02:00", "23:59:60Z"),
    "duration": ("P1D", "PT1H30M", "P", "P2W"),
    "email": ("a@example.com", "a@b", "a.b+c@example.org", "@example.com", '"a b"@example.com'),
    "hostname": ("example.com", "localhost", "a_b", "a" * 63 + ".com", "-a"),
    "ipv4": ("192.0.2.1", "256.0.0.1", "10.0.0.255"),
    "ipv6": ("2001:db8::1", "::", "::ffff:192.0.2.1", "1::2::3", "1:2:3:4:5:6:7:8"),
    "uri": (
        "https://example.com/a",
        "urn:isbn:0451450523",
        "/a/b",
        "a b:",
        "mailto:a@example.com",
        "https://example.com/%C3%A4?q=1#f",
        "https://example.com:8080/",
    ),
    "uri-reference": ("/a/b", "https://example.com/", "a b", "#f", "?q=1", "\\"),
    "iri": ("https://example.com/\u00e4", "https://example.com/a", "/a", "a b:"),
    "iri-reference": ("/\u00e4", "/a", "a b", "#\u00e4"),
    "uri-template": ("/a/{id}", "/a", "{", "{+path}/here", "{?q,r}"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"),
    "json-pointer": ("/a/b", "a", "", "/~0~1", "/~"),
    "relative-json-pointer": ("1/a", "0#", "/a", "0", "00"),
    "regex": ("^a+$", "(", "[a-z]{2}", "a{2,1}"),
}


def implies(name: str, other: str) -> bool:
    """Whether every string of one format is known to have the other."""
    return name == other or other in _IMPLIED.get(name, ())


def outline(name: str, positive: bool) -> str | None:
    """A pattern that every string of the format matches, or (negative) only such strings match."""
    if name in _REGULAR:
        return _REGULAR[name]
    return (_OUTER if positive else _INNER).get(name)


def is_regular(name: str) -> bool:
    """Whether the outline of the format is the format."""
    return name in _REGULAR


def samples(name: str) -> tuple[str, ...]:
    """Strings near the format, some of it and some not."""
    return _SAMPLES.get(name, ())
