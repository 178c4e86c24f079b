"""What every answer passes before a byte of it is sent: schema, values and time, rolled up."""

from provider.conformance.digest import RegressionDigest, regression_digest
from provider.conformance.errors import ConformancePipelineError, SchemaRefused
from provider.conformance.findings import Finding, FindingClass, Sample
from provider.conformance.pipeline import (
    ConformancePipeline,
    Conformed,
    Enforcement,
    Examined,
    Rule,
    refusing_crashes,
)
from provider.conformance.report import ConformanceReport, SeriesQuality
from provider.conformance.schema import check_schema
from provider.conformance.temporal import MISSING_FLAGS, STALE_FLAG, ExpectedSeries

__all__ = [
    "MISSING_FLAGS",
    "STALE_FLAG",
    "ConformancePipeline",
    "ConformancePipelineError",
    "ConformanceReport",
    "Conformed",
    "Enforcement",
    "Examined",
    "ExpectedSeries",
    "Finding",
    "FindingClass",
    "RegressionDigest",
    "Rule",
    "Sample",
    "SchemaRefused",
    "SeriesQuality",
    "check_schema",
    "refusing_crashes",
    "regression_digest",
]
