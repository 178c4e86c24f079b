"""The tour: seven steps on the running stack, each printing what really happened.

Everything goes over HTTP with the tokens of the people and programs who would do it; only the
audit log's export and verification are commands, as an auditor would run them.
"""

import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

from config.stack import EmbeddedStack
from demo import storage
from demo.client import Answer, Client
from demo.house import Person
from demo.schemas import DAILY_BARS, SEA_TEMPERATURE
from demo.telling import say, step

READ_STORED = ("2012-06-04", "2012-06-28")
READ_HOLES = ("2012-08-01", "2013-01-31")
SEA_DUPLICATE = ("2017-03-21T12:00:00Z", "2017-03-21T20:00:00Z")
SEA_UPSTREAM_HOLE = ("2016-07-08T00:00:00Z", "2016-07-08T23:30:00Z")
# What may differ between two answers to the same question (RFC 9110 and our own request facts).
OWN_TO_A_RESPONSE = {"date", "x-request-id", "server-timing", "seamless-canary"}


@dataclass
class Tour:
    """The stack, its people, and the programs that join on the way."""

    stack: EmbeddedStack
    people: dict[str, Person]
    programs: dict[str, Client] = field(default_factory=dict)

    def person(self, name: str) -> Client:
        return Client(self.stack.url, self.people[name].token)

    @property
    def bars(self) -> Path:
        return self.stack.folder.path / "bars"

    def coordinator_mode(self) -> str:
        ready = self.person("oscar").get("/readyz").json()
        return str(ready["coordinator_mode"])

    def play(self) -> None:
        self.agree()
        self.roll_out()
        self.read_with_holes()
        self.meet_drift()
        self.meet_a_duplicate()
        self.audit()
        self.measure()

    # 1 ------------------------------------------------------------------------------------------

    def agree(self) -> None:
        step(1, "A schema is proposed, reviewed and released")
        olive, ravi = self.person("olive"), self.person("ravi")
        self._new_subject("market.ohlcv", "Daily stock bars")
        _new_bundle(olive, "market", "market.ohlcv")
        proposal = _propose(olive, "market.ohlcv", DAILY_BARS)
        say(f"olive proposes market.ohlcv: proposal {proposal['id']}, {proposal['fingerprint']}")
        own = olive.post(f"/api/v1/proposals/{proposal['id']}/approve", expect=403).json()
        say(f"olive approves it herself:  403 {own['code']}: {own['detail']}")
        answer = ravi.post(f"/api/v1/proposals/{proposal['id']}/approve", expect=200).json()
        say(f"ravi approves it:           version {answer['version']['version']}")
        release = olive.get("/api/v1/bundles/market").json()["latest_release"]
        say(f"the bundle `market` is cut: release {release['release']}, {release['fingerprint']}")
        self._new_subject("ocean.temperature", "Sea surface temperature")
        _new_bundle(olive, "ocean", "ocean.temperature")
        sea = _propose(olive, "ocean.temperature", SEA_TEMPERATURE)
        ravi.post(f"/api/v1/proposals/{sea['id']}/approve", expect=200)
        say("likewise ocean.temperature in the bundle `ocean`: release 1")

    def _new_subject(self, name: str, description: str) -> None:
        self.person("olive").post(
            "/api/v1/subjects",
            {"name": name, "owner_team": "market-data", "description": description},
        )

    # 2 ------------------------------------------------------------------------------------------

    def roll_out(self) -> None:
        step(2, "A consumer subscribes: canary first, strict once the gates are open")
        self._load_nodes()
        carl = self.person("carl")
        rollout = self._new_program("pricing", "market")
        say(f"pricing subscribes to market: rollout {rollout['id']} is {rollout['mode']}")
        early = carl.post(f"/api/v1/rollouts/{rollout['id']}/promote", expect=409).json()
        say(f"carl promotes it at once:     409 {early['code']} (gate policy `demo`):")
        _tell_gates(early["gates"])
        read = self.programs["pricing"].read(storage.STOCKS, *READ_STORED)
        say(
            f"pricing reads June 2012:      {read.status}, {_rows(read)} rows, "
            f"Seamless-Canary: {read.headers['Seamless-Canary']}"
        )
        for reviewer in ("ravi", "sofia"):
            self.person(reviewer).post(f"/api/v1/rollouts/{rollout['id']}/approve", expect=200)
        say("ravi and sofia approve:")
        _tell_gates(_wait_for_gates(carl, rollout["id"]))
        strict = carl.post(f"/api/v1/rollouts/{rollout['id']}/promote", expect=200).json()
        say(
            f"carl promotes it again:       rollout {strict['id']} is {strict['mode']}, "
            f"release {strict['release']}"
        )

    def _load_nodes(self) -> None:
        olive = self.person("olive")
        stored = storage.load_stocks(self.bars)
        olive.post("/api/v1/nodes", _stocks_node())
        say(f"node {storage.STOCKS}: {stored} bars of five symbols in storage, with holes")
        stored = storage.load_sea(self.bars)
        olive.post("/api/v1/nodes", _sea_node())
        say(f"node {storage.SEA}: {stored} readings in storage, September 2016 missing")

    def _new_program(self, name: str, bundle: str | None) -> Any:
        carl = self.person("carl")
        carl.post("/api/v1/consumers", {"name": name, "owner_team": "trading"})
        token = carl.post(f"/api/v1/consumers/{name}/tokens", {"scopes": ["read"]}).json()["token"]
        self.programs[name] = Client(self.stack.url, token)
        if bundle is None:
            return None
        path = f"/api/v1/consumers/{name}/subscriptions"
        return carl.post(path, {"bundle": bundle}).json()["rollout"]

    # 3 ------------------------------------------------------------------------------------------

    def read_with_holes(self) -> None:
        step(3, "A read over holes: they are found, fetched once, and the answer is complete")
        pricing = self.programs["pricing"]
        node = quote(storage.STOCKS)
        start, end = READ_HOLES
        before = pricing.get(f"/api/v1/nodes/{node}/coverage", start=start, end=end).json()
        _tell_coverage(before)
        say("pricing reads it; meanwhile, as the operator sees it:")
        answer = self._read_while_watching(pricing)
        after = pricing.get(f"/api/v1/nodes/{node}/coverage", start=start, end=end).json()
        say(f"answer: {answer.status}, {_rows(answer)} rows; coverage now {after['coverage']}")
        for name, value in answer.headers.items():
            if name.lower().startswith(("seamless-", "etag")):
                say(f"    {name}: {value}")

    def _read_while_watching(self, pricing: Client) -> Answer:
        """Read in one thread and show the jobs' progress from another, as an operator would."""
        answers: list[Answer | BaseException] = []

        def read() -> None:
            try:
                answers.append(pricing.read(storage.STOCKS, *READ_HOLES))
            except BaseException as error:
                answers.append(error)

        reader = Thread(target=read)
        reader.start()
        oscar, seen = self.person("oscar"), ""
        while reader.is_alive():
            seen = _tell_progress(oscar, seen)
            sleep(0.02)
        _tell_progress(oscar, seen)
        reader.join()
        if isinstance(answers[0], BaseException):
            raise answers[0]
        return answers[0]

    # 4 ------------------------------------------------------------------------------------------

    def meet_drift(self) -> None:
        step(4, "Another writer drifts: the canary records it, strict refuses it")
        self._new_program("research", "market")
        self._new_program("visitor", None)
        olive = self.person("olive")
        olive.post("/api/v1/consumers/visitor/grants", {"node": storage.STOCKS})
        say("research has the release as a canary; visitor may read the node, without a rollout")
        for drift in storage.DRIFTS:
            rows = storage.write_drift(self.bars, drift)
            say(f"{drift.name}, {drift.first} to {drift.last} ({rows} rows):")
            self._read_drift(drift)
        found = _wait_for_diagnostics(olive, "research", len(storage.DRIFTS))
        say("diagnostics of research's canary:")
        for item in found:
            say(f"    {item['column'] or '(row)'} {item['keyword']}: {item['count']} rows")

    def _read_drift(self, drift: storage.Drift) -> None:
        span = (drift.first, drift.last)
        canary = self.programs["research"].read(storage.STOCKS, *span, partial_ok="true")
        plain = self.programs["visitor"].read(storage.STOCKS, *span, partial_ok="true")
        say(
            f"    canary:  {canary.status}, {_rows(canary)} rows; equal to the answer without "
            f"rollout: {_comparable(canary) == _comparable(plain)}"
        )
        refused = self.programs["pricing"].read(
            storage.STOCKS, *span, expect=409, partial_ok="true"
        )
        body = refused.json()
        found = body["findings"][0]
        say(
            f"    strict:  {refused.status} {body['code']}: {found['column'] or '(row)'} "
            f"{found['keyword']}, {found['count']} rows, for example {_sample(found)}"
        )

    # 5 ------------------------------------------------------------------------------------------

    def meet_a_duplicate(self) -> None:
        step(5, "Quality: the sea temperature has one time twice, and holes upstream has too")
        self._new_program("ocean-app", "ocean")
        ocean = self.programs["ocean-app"]
        blocked = ocean.read(storage.SEA, *SEA_DUPLICATE, expect=409).json()
        flags = ", ".join(f"{flag} {count}" for flag, count in blocked["flags"].items())
        say(f"2017-03-21 afternoon:         409 {blocked['code']}: {flags}")
        served = ocean.read(storage.SEA, *SEA_DUPLICATE, partial_ok="true")
        say(
            f"the same with partial_ok:     {served.status}, {_rows(served)} rows, "
            f"report {served.headers['Seamless-Report']}"
        )
        report = ocean.get(served.headers["Seamless-Report"]).json()
        for finding in report["findings"]:
            if finding["class"] == "quality":
                say(f"    {finding['flag']}: {finding['count']}, at {_sample(finding)}")
        hole = ocean.read(storage.SEA, *SEA_UPSTREAM_HOLE, partial_ok="true")
        say(
            f"2016-07-08, asked upstream:   {hole.status}, {_rows(hole)} of 48 rows, "
            f"Seamless-Coverage: {hole.headers['Seamless-Coverage']}"
        )

    # 6 ------------------------------------------------------------------------------------------

    def audit(self) -> None:
        step(6, "The audit log is exported and verified; one changed byte is found")
        folder = self.stack.folder.path / "audit"
        folder.mkdir(exist_ok=True)
        export, copy = folder / "audit.jsonl", folder / "audit-changed.jsonl"
        self._manage("audit", "seal")
        self._manage("audit", "export", "--output", str(export))
        say(f"manage.py audit verify audit.jsonl: {self._manage('audit', 'verify', str(export))}")
        shutil.copy(export, copy)
        content = copy.read_bytes()
        place = content.index(b"own_proposal")
        copy.write_bytes(content[:place] + b"O" + content[place + 1 :])
        found = self._manage("audit", "verify", str(copy), expect=1)
        say(f"one byte changed in a copy:         {found}")

    def _manage(self, *arguments: str, expect: int = 0) -> str:
        done = self.stack.manage(*arguments, token=self.people["ada"].token)
        if done.returncode != expect:
            raise RuntimeError(f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}")
        said = done.stdout.strip() or done.stderr.strip().removeprefix("CommandError: ")
        return "; ".join(said.replace(f"{self.stack.folder.path}/audit/", "").splitlines())

    # 7 ------------------------------------------------------------------------------------------

    def measure(self) -> None:
        step(7, "Metrics of all this")
        lines = self.person("oscar").get("/metrics").body.decode().splitlines()
        wanted = (
            "backfill_completion_ratio{",
            "seamless_sla_deadline_seconds_count{",
            "seamless_schema_validation_failures_total{",
        )
        for name in wanted:
            for line in sorted(line for line in lines if line.startswith(name)):
                say(f"    {line}")


def _new_bundle(olive: Client, name: str, subject: str) -> None:
    olive.post(
        "/api/v1/bundles",
        {
            "name": name,
            "owner_team": "market-data",
            "subjects": [subject],
            "gate_policy": "demo",
        },
    )


def _propose(olive: Client, subject: str, schema: dict[str, Any]) -> Any:
    body = {"schema": schema, "reason": "First agreed shape."}
    proposal = olive.post(f"/api/v1/subjects/{subject}/proposals", body).json()
    return olive.post(f"/api/v1/proposals/{proposal['id']}/submit", expect=200).json()


def _stocks_node() -> dict[str, Any]:
    listed = {symbol: storage.seconds(day) for symbol, day in storage.LISTED.items()}
    return {
        "node_id": storage.STOCKS,
        "subject": "market.ohlcv",
        "interval": 86_400,
        "calendar": "XNYS",
        "series": [{"key": {"symbol": s}, "since": listed.get(s)} for s in storage.SYMBOLS],
        "store": {"type": "parquet"},
        "source": storage.STOCKS_SOURCE,
        "sla": "interactive",
    }


def _sea_node() -> dict[str, Any]:
    return {
        "node_id": storage.SEA,
        "subject": "ocean.temperature",
        "interval": 1_800,
        "series": [{"key": {}, "since": None}],
        "store": {"type": "parquet"},
        "source": storage.SEA_SOURCE,
        "sla": "interactive",
    }


def _rows(answer: Answer) -> int:
    return len(answer.json())


def _sample(finding: dict[str, Any]) -> str:
    """The first place of a finding: key values, bar time, and the value where one is shown."""
    first = finding["samples"][0]
    time = datetime.fromtimestamp(first["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return " ".join([*first["key"].values(), time, *filter(None, [first["value"]])])


def _comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    kept = {k.lower(): v for k, v in answer.headers.items() if k.lower() not in OWN_TO_A_RESPONSE}
    return answer.status, kept, answer.body


def _tell_gates(gates: list[dict[str, Any]]) -> None:
    for gate in gates:
        mark = "open  " if gate["ok"] else "closed"
        say(f"    {mark} {gate['name']:<12} needed {gate['needed']}, observed {gate['observed']}")


def _tell_coverage(before: dict[str, Any]) -> None:
    window = before["window"]
    say(f"{window['first']} to {window['last']}: coverage {before['coverage']}, missing:")
    for series in before["series"]:
        if series["missing"]:
            spans = ", ".join(f"{m['first'][:10]} to {m['last'][:10]}" for m in series["missing"])
            name = series["key"].get("symbol", "")
            say(f"    {name:<5} {series['missing_bars']:>3} bars: {spans}")


def _tell_progress(oscar: Client, seen: str) -> str:
    """Print the jobs' progress where it differs from what was printed last."""
    jobs = oscar.get("/api/v1/backfills", node=storage.STOCKS).json()["jobs"]
    lines = []
    for job in reversed(jobs):
        now = oscar.get(f"/api/v1/backfills/{job['id']}").json()
        shards = ", ".join(f"{count} {state}" for state, count in sorted(now["shards"].items()))
        lines.append(f"    job {job['id']} {now['state']}: {now['ratio']:.0%} ({shards})")
    text = "\n".join(lines)
    if text and text != seen:
        for line in lines:
            if line not in seen:
                say(line)
        return text
    return seen


def _wait_for_gates(carl: Client, rollout_id: int, seconds: float = 5.0) -> list[dict[str, Any]]:
    """The gates, once all are open: the canary's check is recorded behind the answer."""
    until = monotonic() + seconds
    while True:
        gates: list[dict[str, Any]] = carl.get(f"/api/v1/rollouts/{rollout_id}").json()["gates"]
        if all(gate["ok"] for gate in gates) or monotonic() > until:
            return gates
        sleep(0.05)


def _wait_for_diagnostics(
    olive: Client, consumer: str, kinds: int, seconds: float = 5.0
) -> list[dict[str, Any]]:
    until = monotonic() + seconds
    while True:
        found = olive.get("/api/v1/diagnostics", consumer=consumer).json()["diagnostics"]
        if len(found) >= kinds or monotonic() > until:
            return list(reversed(found))
        sleep(0.05)
