"""What the provider counts and times; names and labels are promised to dashboards."""

from prometheus_client import Counter, Histogram

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
