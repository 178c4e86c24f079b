"""What every answer passes before a byte of it is sent: schema, values and time, rolled up."""

from provider.conformance.digest import RegressionDigest, regression_digest
from provider.conformance.errors import ConformancePipelineError, SchemaRefused
from provider.conformance.findings import Finding, FindingClass, Sample
from provider.conformance.pipeline import ConformancePipeline, Conformed, Enforcement
from provider.conformance.report import ConformanceReport, SeriesQuality
from provider.conformance.schema import check_schema
from provider.conformance.temporal import ExpectedSeries

__all__ = [
    "ConformancePipeline",
    "ConformancePipelineError",
    "ConformanceReport",
    "Conformed",
    "Enforcement",
    "ExpectedSeries",
    "Finding",
    "FindingClass",
    "RegressionDigest",
    "Sample",
    "SchemaRefused",
    "SeriesQuality",
    "check_schema",
    "regression_digest",
]
