"""Counters of what happened in this process; prometheus-client merges them over processes."""

from prometheus_client import Counter, Histogram

LEASE_EXPIRED = Counter(
    "backfill_lease_expired", "Leases whose holder went silent, by how it was noticed.", ["reason"]
)
TAKEOVER_SECONDS = Histogram(
    "backfill_lease_takeover_seconds",
    "From the expiry of a lease to its takeover.",
    buckets=(0.5, 1, 2, 5, 10, 20, 35, 60, 120, 300),
)
FENCE_REJECTED = Counter(
    "backfill_fence_rejected", "Results refused because a newer epoch holds the shard."
)
RENEWAL_LATE_SECONDS = Histogram(
    "backfill_renewal_late_seconds",
    "How much later than planned a lease was renewed.",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 20, 30),
)
REQUEUED = Counter("backfill_reconcile_requeued", "Shards the reconciler put on the queue (again).")
FAILURES = Counter("backfill_failure", "Shards ended without their rows.", ["node_id", "interval"])
RETRIES = Counter("backfill_retry", "Attempts that failed and go again.", ["node_id", "interval"])
RECOVERY = Counter(
    "backfill_recovery",
    "What recovery hooks were told: failed, recovered, violated, completed.",
    ["event", "node_id", "interval"],
)
SERIES_DROPPED = Counter(
    "backfill_series_dropped",
    "Completion ratios left out of a scrape, for want of room.",
)
GAP_REPAIR_MS = Histogram(
    "gap_repair_latency_ms",
    "Milliseconds from the request of a backfill job to its last committed shard.",
    ["node_id", "interval"],
    buckets=(50, 100, 250, 500, 1e3, 2.5e3, 5e3, 1e4, 3e4, 6e4, 12e4, 24e4, 6e5, 36e5),
)
RL_DROPPED = Counter(
    "seamless_rl_dropped", "Claims put off because a source's limit was reached.", ["limiter"]
)
