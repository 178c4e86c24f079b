"""The registry's admin pages, one module for each part of `registry.models`."""

from registry.admin import (
    audit,
    bundles,
    consumers,
    evidence,
    nodes,
    people,
    proposals,
    rollouts,
    schemas,
)

__all__ = [
    "audit",
    "bundles",
    "consumers",
    "evidence",
    "nodes",
    "people",
    "proposals",
    "rollouts",
    "schemas",
]
