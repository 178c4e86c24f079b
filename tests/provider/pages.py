"""Pages that a reader follows command by command: run here, and compared with what they show."""

import json
import os
import re
import runpy
import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from io import StringIO
from operator import getitem
from pathlib import Path

from django.core.management import call_command
from django.test import Client

DOCS = Path(__file__).resolve().parents[2] / "docs"
_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.M | re.S)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.M)


def follow(
    page: Path,
    variables: dict[str, str],
    *,
    same: Callable[[str], str] = str.strip,
    after_each: Callable[[], object] = lambda: None,
) -> int:
    """Write the files that the page names, run its commands; how many those were.

    Each must print what the page shows, if it shows anything, in the form that `same` gives both.
    A block of plain text is only read.
    """
    shell, ran = Shell(variables), 0
    for language, name, content in _FENCE.findall(page.read_text()):
        if name:
            Path(name).write_text(content)
        elif language != "text":
            assert language == "sh"
            for command, shown in _COMMAND.findall(content):
                ran += 1
                printed = shell.run(command)
                after_each()
                if shown:
                    assert same(printed) == same(shown), command
    return ran


class Shell:
    """As much of a shell as the page uses; `api` is a call of the API, not over a socket."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables

    def run(self, line: str) -> str:
        if line.startswith("api() {"):
            return ""
        if set_by := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
            self.variables[set_by[1]] = self.run(set_by[2]).strip()
            return ""
        command, _, piped = line.partition(" | jq -r .")
        shown = self._command(command)
        return f"{reduce(getitem, piped.split('.'), json.loads(shown))}\n" if piped else shown

    def _command(self, line: str) -> str:
        line, _, file = line.partition(" > ")
        words = [self._expanded(word) for word in shlex.split(line)]
        verbs: dict[str, Callable[[list[str]], str]] = {
            "export": self._export,
            "python": lambda given: runpy.run_path(given[0]) and "",  # type: ignore[arg-type]
            "manage.py": _manage,
            "api": _api,
        }
        shown = verbs[words[0]](words[1:])
        if file:
            Path(file).write_text(shown)
            return ""
        return shown

    def _expanded(self, text: str) -> str:
        known = self.variables | {"PWD": str(Path.cwd())}
        text = re.sub(r"\$(\w+)", lambda found: known[found[1]], text)
        return re.sub(r"@(\S+\.json)", lambda found: Path(found[1]).read_text(), text)

    def _export(self, words: list[str]) -> str:
        name, _, value = words[0].partition("=")
        os.environ[name] = value
        return ""


def _manage(words: list[str]) -> str:
    out = StringIO()
    with suppress(SystemExit):  # an exit code, as of drift, ends no shell
        call_command(*words, stdout=out)
    return out.getvalue()


def _api(words: list[str]) -> str:
    token, path, *options = words
    client, address = Client(), f"/api/v1/{path}"
    headers = {"Authorization": f"Bearer {token}"}
    if options[:1] == ["-d"]:
        answer = client.post(address, options[1], content_type="application/json", headers=headers)
        assert answer.status_code < 300, (path, answer.content)
        return answer.content.decode()
    answer = client.get(address, headers=headers)
    if options[:1] == ["-o"]:
        Path(options[1]).write_bytes(answer.content)
        return ""
    return answer.content.decode() + "\n"
