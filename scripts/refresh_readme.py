"""Put the demo's output, read from standard input, into the README: `make readme`."""

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def main() -> None:
    tour = sys.stdin.read().strip()
    block = f"<!-- tour -->\n```text\n{tour}\n```\n<!-- /tour -->"
    text, replaced = re.subn(
        r"<!-- tour -->.*?<!-- /tour -->", lambda _: block, README.read_text(), flags=re.DOTALL
    )
    if not replaced:
        sys.exit("README.md has no place for the tour: <!-- tour --> … <!-- /tour -->")
    README.write_text(text)


if __name__ == "__main__":
    main()
