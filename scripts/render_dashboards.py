"""Write the Grafana dashboards of ops/dashboards as JSON: `render_dashboards.py FOLDER`."""

import json
import sys
from pathlib import Path
from typing import Any

import _gojsonnet

SOURCES = Path(__file__).resolve().parent.parent / "ops" / "dashboards"


def sources() -> list[Path]:
    return sorted(SOURCES.glob("*.jsonnet"))


def render(source: Path) -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads(_gojsonnet.evaluate_file(str(source)))
    return dashboard


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources():
        target = folder / f"{source.stem}.json"
        target.write_text(json.dumps(render(source), indent=2) + "\n", encoding="utf-8")
        print(target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: render_dashboards.py FOLDER")
    main(Path(sys.argv[1]))
