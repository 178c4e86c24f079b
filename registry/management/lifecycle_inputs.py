"""Argument types of the lifecycle's commands; each names what is wrong."""

from argparse import ArgumentTypeError
from datetime import datetime

from django.utils.dateparse import parse_datetime


def instant(text: str) -> datetime:
    """An RFC 3339 instant with its zone."""
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.utcoffset() is None:
        raise ArgumentTypeError(f"{text!r} is no instant with a zone, as 2026-12-31T00:00:00Z")
    return found


def team_counts(text: str) -> dict[str, int]:
    """`data-platform=1,strategy=1`; an empty text asks for no team."""
    found: dict[str, int] = {}
    for part in text.split(","):
        if not part:
            continue
        team, _, count = part.partition("=")
        if not team or not count.isdecimal():
            raise ArgumentTypeError(f"{part!r} is not TEAM=NUMBER")
        found[team] = int(count)
    return found
