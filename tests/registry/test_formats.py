"""Each asserted format is its grammar, no more and no less."""

import datetime
import uuid
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.formats import ASSERTED_FORMATS

VALID = {
    "date": ["2012-05-18", "2000-02-29", "0000-02-29", "9999-12-31"],
    "time": [
        "00:00:00Z", "23:59:59.123456789z", "12:00:00+05:30", "12:00:00-00:00", "23:59:60Z",
        "15:59:60-08:00", "08:59:60.5+09:00", "12:00:00+23:59",
    ],
    "date-time": [
        "2012-05-18T09:30:00Z", "2012-05-18t09:30:00.0z", "2012-05-18T09:30:00-04:00",
        "1998-12-31T23:59:60Z", "1999-01-01T08:59:60+09:00", "1998-12-31T15:59:60.123-08:00",
        "0000-01-01T00:00:00Z",
    ],
    "duration": ["P1D", "PT1M", "P1Y2M3DT4H5M6S", "P3W", "PT36H", "P0D", "P1M", "PT1H1M"],
    "email": [
        "a@b", "joe.bloggs@example.com", "te~st@example.com", '"joe bloggs"@example.com',
        '"joe..b\\"loggs"@example.com', "joe@[127.0.0.1]", "joe@[IPv6:::1]",
    ],
    "hostname": ["a", "localhost", "example.com", "xn--4gbwdl.xn--wgbh1c", "1.2", "a" * 63],
    "ipv4": ["0.0.0.0", "255.255.255.255", "192.168.0.1"],
    "ipv6": ["::", "::1", "1::", "12:34::5678", "1:2:3:4:5:6:7:8", "::ffff:192.168.0.1"],
    "iri": ["http://ƒøø.ßår/?∂éœ=πîx", "urn:é", "http://[::1]/é"],
    "iri-reference": ["é", "//é/ß?x#y", "", "#é"],
    "json-pointer": ["", "/", "/a~0b/c~1d/0", "/\U0001f600"],
    "regex": ["", "^a+$", "(?<=a)b", r"\p{L}"],
    "relative-json-pointer": ["0", "1/a", "2#", "0/"],
    "uri": [
        "http://example.com", "urn:isbn:1", "a:", "http://u:p@h:80/p;a=1?q#f", "http://[::1]:80/",
        "http://[v1.a:b]/", "mailto:a@b", "http://a/%7Eb", "file:///etc",
    ],
    "uri-reference": ["", "a", "/a", "//a", "?q", "#f", "./a:b", "a/b:c", "http://a"],
    "uri-template": ["", "a", "/{id}", "{+a,b*,c:3}", "{?q}", "é"],
    "uuid": ["2eb8aa08-aa98-11ea-b4aa-73b441d16380", "00000000-0000-0000-0000-000000000000"],
}  # fmt: skip
INVALID = {
    "date": [
        "2012-5-18", "2011-02-29", "1900-02-29", "2012-13-01", "2012-00-01", "2012-01-00",
        "2012-04-31", "20120518", "2012-05-18\n", " 2012-05-18", "2012-05-1\u09ea", "",
    ],
    "time": [
        "12:00:00", "24:00:00Z", "12:60:00Z", "12:00:61Z", "12:00:60Z", "23:59:60+01:00",
        "12:00Z", "12:00:00.Z", "12:00:00+24:00", "12:00:00+0100", "12:00:00Z\n", "12:00:00,5Z",
    ],
    "date-time": [
        "2012-05-18 09:30:00Z", "2012-05-18T09:30:00", "2012-05-18", "2012-05-18T09:30Z",
        "2012-05-18T24:00:00Z", "1998-12-30T23:59:60Z", "1998-12-31T23:58:60Z",
        "1999-01-02T08:59:60+09:00", "2012-05-18T09:30:00Z\n", "2012-05-18T09:30:00+0000",
        "2012-138T00:00:00Z", "+12012-05-18T09:30:00Z", "2012-02-30T00:00:00Z",
    ],
    "duration": [
        "P", "PT", "P1", "1D", "P1DT", "P1W1D", "P1Y1D", "PT1H1S", "P2D1Y", "P1.5D", "P-1D",
    ],
    "email": [
        "", "a", "@b", "a@", ".a@b", "a.@b", "a..b@c", "a b@c", "a@b_c", "a@[127.0.0.300]",
        "a@[IPv6:1]", "a@b@c", "a@b\n", "a@-b", "x" * 65 + "@b",
    ],
    "hostname": [
        "", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "é", "a b", "a" * 64, "a." * 127 + "a",
    ],
    "ipv4": [
        "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", "1.2.3.٤", "0x7f.0.0.1", "",
    ],
    "ipv6": ["", ":", "1::2::3", "12345::", "::1%eth0", "1:2:3:4:5:6:7", "::1\n", "::٣", "[::1]"],
    "iri": ["é", "http://a b", "http://[é]/", "http://a/\ud800", "x"],
    "iri-reference": ["a b", "\\a", "%zz", "[é"],
    "json-pointer": ["a", "/~", "/~2", "#/a"],
    "regex": ["(", "a**", r"\Z", "(?i)a"],
    "relative-json-pointer": ["", "-1", "01", "+1/a", "/a", "0##", "1/~2"],
    "uri": [
        "", "a", "//a", "http://a b", "http://é", "1a:b", ":a", "http://[::1", "http://[x]/",
        "http://a/%zz", "http://a/<b>", "http://a:b/", "a:b\n", "http://a/{b}", "http://[::1]x/",
    ],
    "uri-reference": ["1:a", "a b", "\\a", "#a#b", "a:b:^", "http://[::1%25é]"],
    "uri-template": ["{", "}", "{a", "a}", "{}", "{a b}", "<a>", "{a:0}", "%zz"],
    "uuid": ["2eb8aa08aa9811eab4aa73b441d16380", "2eb8aa08-aa98-11ea-b4aa-73b441d1638g", ""],
}  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in VALID.items() for t in ts])
def test_a_text_of_the_format_is_accepted(name: str, text: str) -> None:
    assert ASSERTED_FORMATS[name](text)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, ts in INVALID.items() for t in ts])
def test_a_text_that_is_not_of_the_format_is_refused(name: str, text: str) -> None:
    assert not ASSERTED_FORMATS[name](text)


def test_every_asserted_format_is_documented_and_tried() -> None:
    import registry.formats

    table = registry.formats.__doc__ or ""
    documented = {
        name.strip()
        for line in table.splitlines()
        if line.startswith("| ")
        for name in line.split("|")[1].split(",")
    }
    assert documented - {"format"} == set(ASSERTED_FORMATS) == set(VALID) == set(INVALID)


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)


@given(st.datetimes(timezones=offsets))
def test_every_zoned_time_of_the_standard_library_is_a_date_time(when: datetime.datetime) -> None:
    text = when.isoformat()
    assert ASSERTED_FORMATS["date-time"](text)
    assert ASSERTED_FORMATS["date"](text[:10])
    assert ASSERTED_FORMATS["time"](text[11:])


@given(st.text(alphabet="0123456789-", min_size=10, max_size=10))
def test_a_date_is_what_the_standard_library_reads_from_year_1_on(text: str) -> None:
    try:
        datetime.datetime.strptime(text, "%Y-%m-%d")
        readable = text[4] == "-" == text[7]
    except ValueError:
        readable = False
    assert ASSERTED_FORMATS["date"](text) == (readable or (text[:4] == "0000" and _leap(text)))


def _leap(text: str) -> bool:
    return ASSERTED_FORMATS["date"](f"2000{text[4:]}")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**128 - 1))
def test_every_address_and_uuid_is_accepted(small: int, large: int) -> None:
    assert ASSERTED_FORMATS["ipv4"](str(IPv4Address(small)))
    assert ASSERTED_FORMATS["ipv6"](str(IPv6Address(large)))
    assert ASSERTED_FORMATS["ipv6"](IPv6Address(large).exploded)
    assert ASSERTED_FORMATS["uuid"](str(uuid.UUID(int=large)))
