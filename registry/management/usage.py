"""Parsers of commands whose exit code 2 means something else: wrong use exits with 64."""

from typing import NoReturn

from django.core.management.base import CommandError, CommandParser

USAGE = 64  # EX_USAGE of sysexits.h


class UsageParser(CommandParser):
    """A parser, of a command or of one of its verbs, that ends wrong use with exit code 64."""

    def error(self, message: str) -> NoReturn:
        if not self.called_from_command_line:
            raise CommandError(f"{message}\n{self.format_usage()}", returncode=USAGE)
        self.exit(USAGE, f"{self.format_usage()}{self.prog}: {message}\n")
