"""Starts, watches and stops the embedded stack of `make demo` and `make run`."""

from config.stack.embedded import EmbeddedStack
from config.stack.errors import StackError
from config.stack.processes import ManagedProcess

__all__ = ["EmbeddedStack", "ManagedProcess", "StackError"]
