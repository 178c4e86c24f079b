"""Write the list of metrics into docs/reference/metrics.md, from what the code declares."""

import os
import tempfile
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "metrics.md"
BEGIN, END = "<!-- metrics -->\n", "<!-- /metrics -->"


def with_metrics(page: str) -> str:
    """The page with the list as it must be; asks the database (see `declared_metrics`)."""
    from config.metric_reference import declared_metrics

    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    lines = ["| metric | type | labels | what |", "|---|---|---|---|"]
    for metric in declared_metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        what = metric.text
        if metric.buckets:
            bounds = [f"{bound:g}" for bound in metric.buckets[:-1]]
            what += f" Buckets to {bounds[-1]}."
        lines.append(f"| `{metric.name}` | {metric.type} | {labels} | {what} |")
    return head + BEGIN + "\n".join(lines) + "\n" + END + tail


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": f"sqlite:///{folder}/empty.sqlite3",
            "SEAMLESS_VAR": folder,
            "SEAMLESS_LOG_LEVEL": "ERROR",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        PAGE.write_text(with_metrics(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
