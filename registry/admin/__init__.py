"""The registry's admin pages, one module for each part of `registry.models`."""

from registry.admin import (
    audit,
    audit_exports,
    bundles,
    consumers,
    evidence,
    gates,
    nodes,
    people,
    proposals,
    rollouts,
    schemas,
)

__all__ = [
    "audit",
    "audit_exports",
    "bundles",
    "consumers",
    "evidence",
    "gates",
    "nodes",
    "people",
    "proposals",
    "rollouts",
    "schemas",
]
