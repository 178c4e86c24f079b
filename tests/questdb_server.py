"""A real QuestDB for tests: the jar from Maven's repository, on loopback, with a data folder."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import httpx2

from config.stack.ports import find_free_port
from config.stack.processes import Guardian, ManagedProcess

VERSION = "9.3.4"  # the last line that runs on Java 17
START_SECONDS = 60
_ARTIFACT = f"org.questdb:questdb:{VERSION}"
_FETCH_SECONDS = 300


@cache
def why_not() -> str:
    """Why there can be no QuestDB here; empty where there can."""
    for program, package in (("java", "openjdk-17-jre-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            return f"QuestDB needs {program} (Debian: apt-get install {package})"
    return "" if _jar().exists() or _fetched() else f"Maven could not fetch {_ARTIFACT}"


def _jar() -> Path:
    repository = Path.home() / ".m2" / "repository" / "org" / "questdb" / "questdb"
    return repository / VERSION / f"questdb-{VERSION}.jar"


def _fetched() -> bool:
    command = ["mvn", "-q", "-B", "dependency:get", f"-Dartifact={_ARTIFACT}", "-Dtransitive=false"]
    try:
        subprocess.run(command, capture_output=True, timeout=_FETCH_SECONDS, check=True)
    except subprocess.SubprocessError:
        return False
    return _jar().exists()


class QuestDBServer:
    """One server; after `kill()` the same data comes back with `start()`."""

    def __init__(self, folder: Path, guardian: Guardian) -> None:
        self.http_port, self.wire_port = find_free_port(), find_free_port()
        self.url = (
            f"questdb://admin:quest@127.0.0.1:{self.wire_port}/qdb?http_port={self.http_port}"
        )
        self.wire_url = f"postgresql://admin:quest@127.0.0.1:{self.wire_port}/qdb"
        root = folder / "questdb"
        (root / "conf").mkdir(parents=True)
        settings = {
            "http.bind.to": f"127.0.0.1:{self.http_port}",
            "http.min.enabled": "false",
            "pg.net.bind.to": f"127.0.0.1:{self.wire_port}",
            "line.tcp.enabled": "false",
            "telemetry.enabled": "false",
            "shared.worker.count": "2",
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (root / "conf" / "server.conf").write_text("".join(lines))
        java = ["java", "-Xmx512m", f"-Djava.io.tmpdir={folder}", "-p", str(_jar())]
        command = [*java, "-m", "io.questdb/io.questdb.ServerMain"]
        self.process = ManagedProcess(
            "questdb",
            [*command, "-d", str(root)],
            log=folder / "questdb.log",
            environment=os.environ,
            folder=folder,
            guardian=guardian,
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_until(self._answers, seconds=START_SECONDS, way_out="see its log.")

    def _answers(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.http_port}/exec"
            return httpx2.get(address, params={"query": "SELECT 1"}).status_code == 200
        except httpx2.HTTPError:
            return False
