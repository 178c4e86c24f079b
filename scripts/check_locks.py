"""Check requirements*.txt without a network: `python scripts/check_locks.py`.

They must agree with pyproject.toml and with each other, hash every file, and name no host: a lock
that says where to fetch from works on one network only. Exit code 1 with one line per finding.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
DEV = "requirements-dev.txt"
FOREIGN = re.compile(r"://|^\s*-[-a-z]| @ ", re.MULTILINE)

Pins = dict[str, set[str]]  # package -> versions (more than one where markers choose)


def read_entries(text: str) -> list[str]:
    """One string for each requirement, its continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def read_pins(entries: list[str]) -> Pins:
    pins: Pins = {}
    for entry in entries:
        requirement = Requirement(entry.split("--hash")[0].strip())
        version = str(requirement.specifier).removeprefix("==")
        pins.setdefault(canonicalize_name(requirement.name), set()).add(version)
    return pins


def check_file(name: str) -> Iterator[str]:
    text = (ROOT / name).read_text()
    for entry in read_entries(text):
        if found := FOREIGN.search(entry.split("--hash")[0]):
            yield f"{name}: {entry[:60]!r} names a place or an option ({found.group().strip()})"
        elif "==" not in entry or "--hash=sha256:" not in entry:
            yield f"{name}: {entry[:60]!r} has no exact version or no hash"
    if "://" in text:
        yield f"{name}: holds a URL"


def check_wanted(name: str, wanted: list[str], pins: Pins) -> Iterator[str]:
    for line in wanted:
        requirement = Requirement(line)
        versions = pins.get(canonicalize_name(requirement.name))
        if versions is None:
            yield f"{name}: {requirement.name} of pyproject.toml is missing"
            continue
        for version in versions:
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{name}: {requirement.name} {version} is not {requirement.specifier}"


def check_lower_bounds(wanted: list[str]) -> Iterator[str]:
    for line in wanted:
        if not any(part.operator in {">=", "==", "~="} for part in Requirement(line).specifier):
            yield f"pyproject.toml: {line} has no lower bound"


def find_problems() -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct: list[str] = project["project"]["dependencies"]
    demo: list[str] = project["project"]["optional-dependencies"]["demo"]
    extras = chain.from_iterable(project["project"]["optional-dependencies"].values())
    dev: list[str] = project["dependency-groups"]["dev"]
    contents = {
        "requirements.txt": direct,
        "requirements-demo.txt": direct + demo,
        DEV: [*direct, *extras, *dev],
    }
    yield from check_lower_bounds(contents[DEV])
    foreign = [problem for name in contents for problem in check_file(name)]
    yield from foreign
    if foreign:
        return
    pins = {name: read_pins(read_entries((ROOT / name).read_text())) for name in contents}
    for name, wanted in contents.items():
        yield from check_wanted(name, wanted, pins[name])
        for package, versions in pins[name].items():
            if not versions <= pins[DEV].get(package, set()):
                yield f"{name}: {package} {sorted(versions)} differs from {DEV}"


if __name__ == "__main__":
    problems = list(find_problems())
    for problem in problems:
        print(problem)
    sys.exit("Write the files again with `make lock`." if problems else 0)
