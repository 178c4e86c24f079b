"""`python -m demo`: play the tour and stop. `python -m demo --serve`: load, then serve."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import django

from config.stack import EmbeddedStack, StackError

if TYPE_CHECKING:  # both read Django's settings, which need the stack's environment first
    from demo.tour import Tour

VAR = Path("var")
# Small shards, so that a short backfill shows progress too.
ENVIRONMENT = {"SEAMLESS_SHARD_BARS": "20"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="load the data and keep serving")
    parser.add_argument(
        "--without-redis", action="store_true", help="start with Redis away (mode `degraded`)"
    )
    options = parser.parse_args()
    try:
        if options.serve:
            _serve()
        return _demo(redis=not options.without_redis)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        return 130


def _demo(*, redis: bool) -> int:
    """In a folder and on a database of its own, emptied first: every run tells the same."""
    stack = EmbeddedStack(
        VAR / "demo",
        redis=redis,
        redis_url=os.environ.get("REDIS_URL") or None,
        environment=ENVIRONMENT,
        fresh=True,
    )
    with stack:
        tour = _prepare(stack)
        print(f"Seamless is up at {stack.url}, coordinator mode {tour.coordinator_mode()}.")
        tour.play()
    print("\nEverything that was started is stopped. `make run` serves the same stack.")
    return 0


def _serve() -> NoReturn:
    var = VAR / "run"
    loaded = var / "loaded"
    # Half loaded (stopped on the way) is as good as not loaded.
    stack = EmbeddedStack.from_environment(
        var, os.environ, environment=ENVIRONMENT, fresh=not loaded.exists()
    )
    with stack:
        if loaded.exists():
            print(f"Loaded before; the passwords were printed then. Data: {var}")
        else:
            _load(stack)
            loaded.touch()
        print(f"\nAdmin pages: {stack.url}/admin/   API: {stack.url}/api/v1/   Ctrl-C stops.")
        sys.stdout.flush()
        stack.watch()


def _load(stack: EmbeddedStack) -> None:
    tour = _prepare(stack)
    tour.agree()
    tour.roll_out()
    tour.read_with_holes()
    print("\nPeople (shown once):")
    for person in tour.people.values():
        print(f"   {person.name:<6} password {person.password}   token {person.token}")
    print("Programs (shown once):")
    for name, client in tour.programs.items():
        print(f"   {name:<8} token {client.token}")


def _prepare(stack: EmbeddedStack) -> "Tour":
    """Make this process part of the stack, then build the house in its database."""
    os.environ.update(stack.environment)
    django.setup()
    from django.utils import timezone

    from demo.house import build_house
    from demo.tour import Tour

    return Tour(stack=stack, people=build_house(timezone.now()))


if __name__ == "__main__":
    sys.exit(main())
