"""The admin pages of backfills. Django finds them here; nothing is changed but by a service."""

from coordinator.admin import jobs, leases, quarantine, shards

__all__ = ["jobs", "leases", "quarantine", "shards"]
