"""The demo's tour on a stack that goes on serving: `python -m tests.stack.observed FOLDER`.

Prints one line of JSON when the tour is over, then serves until its standard input ends.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from config.stack import EmbeddedStack
from demo.__main__ import ENVIRONMENT, _prepare


def main(folder: Path) -> None:
    with EmbeddedStack(folder, environment=ENVIRONMENT) as stack:
        tour = _prepare(stack)
        with contextlib.redirect_stdout(io.StringIO()):
            tour.play()
        tokens = {name: person.token for name, person in tour.people.items()}
        tokens |= {name: client.token for name, client in tour.programs.items()}
        print(json.dumps({"url": stack.url, "tokens": tokens}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
