"""What the provider counts and times; names and labels are promised to dashboards."""

from prometheus_client import Counter, Gauge, Histogram

from provider.sla import SLAPhase

# Past every budget that is alerted on: the longest is a total of 240 s.
SLA_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 240.0, 300.0, 600.0),
)

SLA_SECONDS = Histogram(
    "seamless_sla_deadline_seconds",
    "Time spent in a phase of a request, also of one that failed.",
    ["node_id", "phase"],
    buckets=SLA_BUCKETS,
)
_MS_BUCKETS = tuple(bound * 1000 for bound in SLA_BUCKETS)
# The original's names of the same times, for dashboards that ask for them.
PHASE_MS = {
    phase: Histogram(
        f"seamless_{phase}_ms",
        f"Milliseconds in the phase {phase}, as in seamless_sla_deadline_seconds.",
        ["node_id", "interval"],
        buckets=_MS_BUCKETS,
    )
    for phase in (
        SLAPhase.STORAGE_WAIT,
        SLAPhase.BACKFILL_WAIT,
        SLAPhase.LIVE_WAIT,
        SLAPhase.TOTAL,
    )
}
SCHEMA_FAILURES = Counter(
    "seamless_schema_validation_failures_total",
    "Checked responses that a schema version refused, by the mode they were checked in.",
    ["subject", "mode"],
)
FLAGS = Counter(
    "seamless_conformance_flag_total",
    "What conformance reports flagged.",
    ["node_id", "interval", "flag_type"],
)
WARNINGS = Counter(
    "seamless_conformance_warning_total",
    "Warnings of conformance reports.",
    ["node_id", "interval"],
)

SLA_VIOLATIONS = Counter(
    "seamless_sla_violation_total",
    "Budgets of the SLA policy that ended before their work, also where an answer was sent.",
    ["node_id", "phase"],
)
PARTIAL_RETURNS = Counter(
    "partial_fill_returns_total",
    "Answers of policies that fill partially, sent although they are less than promised, and why.",
    ["node_id", "interval", "reason"],
)
DOMAIN_HOLDS = Counter(
    "domain_gate_holds_total",
    "Reads that were held (answered, but marked as less than promised) or refused, and why.",
    ["node_id", "interval", "reason"],
)
AS_OF_ADVANCES = Counter(
    "as_of_advancement_events_total",
    "Reads that brought the `as_of` of a world forward.",
    ["node_id"],
)
COVERAGE_RATIO = Gauge(
    "coverage_ratio",
    "The share of expected bars in the node's last answer.",
    ["node_id", "interval"],
    multiprocess_mode="mostrecent",
)
STALENESS = Gauge(
    "live_staleness_seconds",
    "The age of the newest bar in the node's last answer that reached the present.",
    ["node_id", "interval"],
    multiprocess_mode="mostrecent",
)
LIVE_FAILURES = Counter(
    "seamless_live_failures_total",
    "Reads and feeding rounds that went without live rows: the source failed or was too slow.",
    ["node_id", "interval"],
)
CACHE_HITS = Counter(
    "seamless_cache_hit_total", "Windows served from memory.", ["node_id", "interval"]
)
CACHE_MISSES = Counter(
    "seamless_cache_miss_total", "Windows that had to be read.", ["node_id", "interval"]
)
CACHE_BYTES = Gauge(
    "seamless_cache_resident_bytes",
    "Bytes of checked windows that are kept in memory, over all processes.",
    multiprocess_mode="livesum",
)
DIGESTS = Counter(
    "seamless_conformance_digest_total",
    "Published reports, by how they compare with the node's last of the same version.",
    ["node_id", "interval", "direction"],
)

_BY_STRATEGY = ["strategy", "node_id", "interval"]
READ_REPAIRS = Counter(
    "history_auto_backfill_requests_total", "Reads that asked for a backfill.", _BY_STRATEGY
)
READ_REPAIR_RANGES = Counter(
    "history_auto_backfill_missing_ranges_total", "Ranges that reads asked for.", _BY_STRATEGY
)
READ_REPAIR_ROWS = Counter(
    "history_auto_backfill_rows_total",
    "Missing bars of all series that were there once a read had waited for its backfill.",
    _BY_STRATEGY,
)
READ_REPAIR_MS = Histogram(
    "history_auto_backfill_duration_ms",
    "Milliseconds from a read's request of a backfill to its end, or to the reader's.",
    ["strategy"],
    buckets=_MS_BUCKETS,
)

ARTIFACT_MS = Histogram(
    "artifact_publish_latency_ms",
    "Milliseconds from the order of an artefact to its row.",
    ["node_id", "interval"],
    buckets=_MS_BUCKETS,
)
ARTIFACT_BYTES = Counter(
    "artifact_bytes_written_total",
    "Bytes of the data files of published artefacts.",
    ["node_id", "interval"],
)
COLLISIONS = Counter(
    "fingerprint_collisions_total",
    "Artefacts under the dataset fingerprint of another one that has other rows; must be 0.",
    ["node_id", "interval"],
)
