"""Publishing a window: checked, written once and whole, found by what was known when, proven."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from provider import artifact_files
from provider.artifact_files import MANIFEST, ArtifactDamaged, check_artifact
from provider.artifacts import directory_of, verify_artifact
from provider.conformance import ConformancePipelineError, SchemaRefused
from provider.models import Artifact
from provider.parts import MixedTypes
from provider.publishing import ArtifactExists, Order, publish_artifact
from provider.requests import NoData
from provider.seamless import SeamlessDataProvider
from registry.actors import Actor
from registry.canonical import fingerprint, fingerprint_of_bytes
from registry.errors import InvalidInput, NotAllowed, NotFound
from registry.models import AuditEvent
from registry.services import tokens
from registry.services.audit.reconciling import report_unrecorded_changes
from tests.cast import SYSTEM, approved, with_property
from tests.databases import CommittedDatabase, as_owner
from tests.provider.world import DAY, FIRST, NODE, SESSIONS, World, bars, build_world

LAST = SESSIONS[-1]
KNOWN = datetime(2012, 7, 1, tzinfo=UTC)
LATER = KNOWN + timedelta(days=1)


def publish(house: World, actor: Actor | None = None, **changes: Any) -> Artifact:
    order = {"node_id": NODE, "start": FIRST, "end": LAST, "as_of": KNOWN, **changes}
    return publish_artifact(
        actor=actor or house.cast.olive, order=Order(**order), now=timezone.now()
    )


def on_disk() -> list[str]:
    root = Path(django_settings.SEAMLESS_ARTIFACT_DIR)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.fixture
def stored(world: World) -> World:
    world.write(bars())
    return world


def test_a_published_window_says_what_it_is_and_is_what_it_says(stored: World) -> None:
    made = publish(stored, world="paper")
    manifest = made.manifest
    assert manifest["range"] == {"start": FIRST, "end": LAST}
    assert (manifest["node_id"], manifest["interval"]) == (NODE, DAY)
    assert (manifest["as_of"], manifest["world"]) == ("2012-07-01T00:00:00Z", "paper")
    assert (manifest["rows"], manifest["coverage"], manifest["flags"]) == (12, 1.0, {})
    assert manifest["schema"]["fingerprint"].startswith("sha256:")
    assert manifest["release"] is None
    directory = directory_of(made)
    assert made.address == fingerprint_of_bytes((directory / MANIFEST).read_bytes())
    kept = pq.read_table(directory / "data.parquet")
    assert kept.to_pylist() == bars().to_pylist()
    verify_artifact(made)


def test_t75_its_directory_is_named_by_node_interval_and_content(stored: World) -> None:
    made = publish(stored)
    folder = directory_of(made).relative_to(django_settings.SEAMLESS_ARTIFACT_DIR)
    assert folder.parts == ("ohlc%3Aus%3A1d", str(DAY), made.address.replace(":", "-"))


def test_t76_its_name_covers_world_and_moment(stored: World) -> None:
    """T23: who publishes equal rows for another world, or later, publishes something else."""
    made = [publish(stored), publish(stored, world="paper"), publish(stored, as_of=LATER)]
    assert len({one.address for one in made}) == 3
    assert len({one.dataset_fingerprint for one in made}) == 1


def test_it_is_named_as_a_read_of_the_same_rows_is(stored: World) -> None:
    made = publish(stored)
    reader = stored.reader()
    live = SeamlessDataProvider().fetch(
        consumer=reader.consumer, node_id=NODE, start=FIRST, end=LAST, actor=SYSTEM, now=LATER
    )
    assert made.dataset_fingerprint == live.fingerprint


def test_it_is_held_to_a_release_where_one_is_named(stored: World) -> None:
    reader = stored.reader()
    assert publish(stored).manifest["release"] is None
    approved(stored.cast, with_property("vwap", {"type": ["number", "null"]}))
    made = publish(stored, as_of=LATER, release="market/1")
    assert made.release is not None
    assert made.manifest["release"] == {
        "bundle": "market",
        "number": 1,
        "fingerprint": made.release.fingerprint,
    }
    assert made.manifest["schema"]["version"] == 1
    assert reader.data()["Seamless-Release-Fingerprint"] == made.release.fingerprint
    for wrong, error in (("market/9", NotFound), ("market", InvalidInput), ("x/1", NotFound)):
        with pytest.raises(error):
            publish(stored, as_of=LATER + timedelta(days=1), release=wrong)


# --- what is refused, and what then is left -----------------------------------------------------


def refusals() -> list[tuple[str, str]]:
    events = AuditEvent.objects.filter(action="artifact.publish").select_related("payload")
    return [(event.outcome, event.reason.partition(":")[0]) for event in events.order_by("pk")]


REFUSED: list[tuple[Callable[[World], None], dict[str, Any], type[Exception], str]] = [
    (lambda w: w.write(bars(volume=pa.array([-1] * 12))), {}, SchemaRefused, "schema_refused"),
    (
        lambda w: w.write(bars(volume=pa.array([-1] * 12))),
        {"partial_ok": True},
        SchemaRefused,
        "schema_refused",
    ),
    (
        lambda w: w.write(bars(SESSIONS[:4])),
        {},
        ConformancePipelineError,
        "conformance_blocked",
    ),
    (lambda w: None, {"partial_ok": True}, NoData, "no_data"),
    (lambda w: None, {"start": FIRST + 1, "end": FIRST + 2}, InvalidInput, "invalid_input"),
    (lambda w: None, {"start": LAST, "end": FIRST}, InvalidInput, "invalid_input"),
    (lambda w: None, {"as_of": datetime(2012, 7, 1)}, InvalidInput, "invalid_input"),
    (lambda w: None, {"as_of": datetime(2999, 7, 1, tzinfo=UTC)}, InvalidInput, "invalid_input"),
    (lambda w: None, {"world": "a\nb"}, InvalidInput, "invalid_input"),
    (lambda w: None, {"world": "w" * 201}, InvalidInput, "invalid_input"),
    (lambda w: None, {"node_id": "ohlc:us:2d"}, NotFound, "not_found"),
]


@pytest.mark.parametrize(("prepare", "changes", "error", "code"), REFUSED)
def test_what_is_refused_is_on_record_and_leaves_no_file(
    world: World,
    prepare: Callable[[World], None],
    changes: dict[str, Any],
    error: type[Exception],
    code: str,
) -> None:
    prepare(world)
    with pytest.raises(error):
        publish(world, **changes)
    assert refusals() == [("refused", code)]
    assert (on_disk(), Artifact.objects.count()) == ([], 0)


def test_no_bar_is_published_as_of_a_moment_at_which_it_was_not_over(stored: World) -> None:
    """Nothing that a backtest reads was unknown at the moment it stands at."""
    over = datetime.fromtimestamp(LAST + DAY, UTC)
    with pytest.raises(InvalidInput, match="is not over at"):
        publish(stored, as_of=over - timedelta(seconds=1))
    assert publish(stored, as_of=over).rows == 12


def test_missing_bars_are_published_where_that_is_asked_for(world: World) -> None:
    world.write(bars(SESSIONS[:3]))
    made = publish(world, partial_ok=True)
    assert (made.rows, made.manifest["coverage"], made.manifest["flags"]) == (
        6,
        0.5,
        {"trailing_gap": 6},
    )


def test_rows_that_no_table_holds_are_not_published(world: World) -> None:
    approved(world.cast, with_property("volume", {"type": ["integer", "string"]}))
    world.write(bars(SESSIONS[:3]), "a.parquet")
    world.write(bars(SESSIONS[3:], volume=pa.array(["1"] * 6)), "b.parquet")
    with pytest.raises(MixedTypes):
        publish(world)
    assert (refusals(), on_disk()) == ([("refused", "mixed_types")], [])


@pytest.mark.parametrize("name", ["ravi", "carl", "ada", "stan", "sofia"])
def test_only_owners_and_operators_publish(stored: World, name: str) -> None:
    with pytest.raises(NotAllowed):
        publish(stored, getattr(stored.cast, name))
    assert refusals() == [("denied", "not_allowed")]
    assert on_disk() == []


def test_operators_publish_and_the_record_says_what(stored: World) -> None:
    made = publish(stored, stored.cast.oscar)
    event = AuditEvent.objects.select_related("payload").get(action="artifact.publish")
    assert (event.outcome, event.object_type, event.object_name) == ("ok", "node", NODE)
    assert event.after["artifact"] == made.address
    assert event.after["dataset_fingerprint"] == made.dataset_fingerprint


# --- once ---------------------------------------------------------------------------------------


def test_the_same_content_comes_back_and_nothing_is_written(stored: World) -> None:
    first = publish(stored)
    written = {path: path.stat().st_mtime_ns for path in directory_of(first).iterdir()}
    assert publish(stored) == first
    assert {path: path.stat().st_mtime_ns for path in directory_of(first).iterdir()} == written
    assert Artifact.objects.count() == 1


def test_what_was_known_at_a_moment_is_never_rewritten(stored: World) -> None:
    publish(stored)
    stored.write(bars(close=pa.array([7.0] * 12)))
    with pytest.raises(ArtifactExists, match="later as_of"):
        publish(stored)
    with pytest.raises(ArtifactExists):
        publish(stored, start=LAST, end=LAST, as_of=KNOWN - timedelta(days=1))
    assert publish(stored, as_of=LATER).dataset_fingerprint
    assert publish(stored, world="paper").rows == 12
    assert len(on_disk()) == 6


def test_windows_side_by_side_share_a_moment(stored: World) -> None:
    publish(stored, end=SESSIONS[2])
    publish(stored, start=SESSIONS[3])
    assert Artifact.objects.count() == 2


def test_the_row_is_append_only(stored: World) -> None:
    made = publish(stored)
    with as_owner(), pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Artifact.objects.filter(pk=made.pk).update(rows=1)
    with as_owner(), pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        made.delete()


def test_a_row_that_nobody_published_is_reported(
    committed_db: CommittedDatabase, own_storage: None
) -> None:
    house = build_world()
    house.write(bars())
    made = publish(house)
    report_unrecorded_changes(now=timezone.now())
    made.pk, made.address, made.world = None, "sha256:" + "0" * 64, "forged"
    made.save(force_insert=True)
    (change,) = report_unrecorded_changes(now=timezone.now())
    assert change.table == "provider_artifact"


def died_before_its_commit(stored: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What it left."""

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("provider.publishing._row", die)
        with pytest.raises(KeyboardInterrupt):
            publish(stored)
    return on_disk()


def test_a_directory_left_by_a_publication_that_died_is_taken_over(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was renamed into its place, and the transaction never ended."""
    left = died_before_its_commit(stored, monkeypatch)
    assert (len(left), Artifact.objects.count()) == (2, 0)
    made = publish(stored)
    assert on_disk() == left
    verify_artifact(made)


def test_a_directory_in_its_place_that_is_something_else_is_refused(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = died_before_its_commit(stored, monkeypatch)
    data = Path(django_settings.SEAMLESS_ARTIFACT_DIR) / left[0]
    data.chmod(0o644)
    data.write_bytes(b"other")
    with pytest.raises(ArtifactDamaged, match=r"data\.parquet has another content"):
        publish(stored)
    assert Artifact.objects.count() == 0


def test_staging_of_a_dead_publication_is_removed_a_day_later(stored: World) -> None:
    left = Path(django_settings.SEAMLESS_ARTIFACT_DIR) / ".staging" / "dead"
    left.mkdir(parents=True)
    (left / "data.parquet").write_bytes(b"half")
    publish(stored)
    assert left.exists()
    day_ago = left.stat().st_mtime - 86_500
    os.utime(left, (day_ago, day_ago))
    publish(stored, as_of=LATER)
    assert not left.exists()


KILLED = """
import os, signal, sys
import django
django.setup()
from datetime import datetime, UTC
from django.utils import timezone
from provider import artifact_files, publishing
from registry.actors import Actor

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[1]
if where == "write":
    publishing.file_facts = die
elif where == "rename":
    artifact_files.sync = die
elif where == "commit":
    publishing._row = die
order = publishing.Order(
    node_id=sys.argv[2], start=int(sys.argv[3]), end=int(sys.argv[4]),
    as_of=datetime(2012, 7, 1, tzinfo=UTC),
)
publishing.publish_artifact(actor=Actor.system("tests"), order=order, now=timezone.now())
"""


@pytest.mark.parametrize("where", ["write", "rename", "commit"])
def test_a_publication_that_is_killed_leaves_nothing_half_written(
    committed_db: CommittedDatabase, own_storage: None, tmp_path: Path, where: str
) -> None:
    world = build_world()
    world.write(bars())
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SEAMLESS_VAR": str(tmp_path / "var"),
        "SEAMLESS_BARS_DIR": str(tmp_path / "bars"),
        "SEAMLESS_ARTIFACT_DIR": str(tmp_path / "artifacts"),
    }
    run = subprocess.run(
        [sys.executable, "-c", KILLED, where, NODE, str(FIRST), str(LAST)],
        env=environment,
        cwd=django_settings.BASE_DIR,
        timeout=120,
        check=False,
        capture_output=True,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert Artifact.objects.count() == 0
    for manifest in (tmp_path / "artifacts").rglob(MANIFEST):
        if ".staging" not in manifest.parts:  # whole, or not there
            address = manifest.parent.name.replace("-", ":", 1)
            check_artifact(manifest.parent, address)
    verify_artifact(publish(world))
    assert Artifact.objects.count() == 1


# --- proof --------------------------------------------------------------------------------------


def damage(directory: Path, how: str) -> None:
    data, manifest = directory / "data.parquet", directory / MANIFEST
    data.chmod(0o644)
    manifest.chmod(0o644)
    if how == "byte":
        raw = bytearray(data.read_bytes())
        raw[len(raw) // 2] ^= 1
        data.write_bytes(raw)
    elif how == "other rows":
        pq.write_table(bars(close=pa.array([7.0] * 12)), data)
    elif how == "gone":
        data.unlink()
    elif how == "added":
        pq.write_table(bars(), directory / "more.parquet")
    elif how == "manifest":
        text = json.loads(manifest.read_text())
        text["rows"] = 13
        manifest.write_text(json.dumps(text))
    elif how == "no manifest":
        manifest.unlink()


HARM = ["byte", "other rows", "gone", "added", "manifest", "no manifest"]


@pytest.mark.parametrize("how", HARM)
def test_every_kind_of_damage_is_found(stored: World, how: str) -> None:
    made = publish(stored)
    damage(directory_of(made), how)
    with pytest.raises(ArtifactDamaged, match="is not what was published"):
        verify_artifact(made)


@given(data=st.data())
def test_no_byte_of_an_artifact_can_change(data: st.DataObject, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("artifact")
    with artifact_files.staging(folder) as staged:
        pq.write_table(pa.table({"a": [1, 2, 3]}), staged / "data.parquet")
        manifest = {
            "format": artifact_files.FORMAT,
            "files": [artifact_files.file_facts(staged / "data.parquet", 3)],
        }
        address = fingerprint(manifest)  # type: ignore[arg-type]
        target = artifact_files.artifact_directory(folder, "a/b", 60, address)
        artifact_files.put_in_place(staged, manifest, target)
    check_artifact(target, address)
    victim = target / data.draw(st.sampled_from(["data.parquet", MANIFEST]))
    raw = bytearray(victim.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    victim.chmod(0o644)
    victim.write_bytes(raw)
    with pytest.raises(ArtifactDamaged):
        check_artifact(target, address)


# --- over HTTP and in the shell -----------------------------------------------------------------


def token_of(world: World, name: str) -> str:
    return tokens.issue_personal_token(
        actor=getattr(world.cast, name),
        user=world.cast.user(name),
        scopes=["govern"],
        lifetime=timedelta(hours=1),
        now=timezone.now(),
    ).secret


def ask(secret: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
    client, address = Client(raise_request_exception=False), f"/api/v1/nodes/{NODE}/artifacts{path}"
    headers = {"Authorization": f"Bearer {secret}"}
    if body is None:
        return client.get(address, headers=headers)
    text = json.dumps(body)
    return client.post(address, text, content_type="application/json", headers=headers)


WINDOW = {"start": "2012-06-01", "end": str(LAST), "as_of": "2012-07-01T02:00:00+02:00"}


def test_a_window_is_published_listed_and_read_over_http(stored: World) -> None:
    olive, reader = token_of(stored, "olive"), stored.reader()
    made = ask(olive, body=WINDOW)
    assert made.status_code == 201, made.content
    assert made["Seamless-Audit"].startswith("recorded")
    facts = made.json()
    assert (facts["as_of"], facts["rows"], facts["coverage"]) == ("2012-07-01T00:00:00Z", 12, 1.0)
    for secret in (olive, reader.token, token_of(stored, "oscar")):
        assert [one["address"] for one in ask(secret).json()["artifacts"]] == [facts["address"]]
        manifest = ask(secret, f"/{facts['address']}")
        assert fingerprint_of_bytes(manifest.content) == facts["address"]
        assert facts["manifest_uri"].endswith(facts["address"])
    assert ask(olive, "/sha256:" + "0" * 64).status_code == 404


def test_a_list_goes_on_where_a_page_ended(stored: World) -> None:
    olive = token_of(stored, "olive")
    made = [publish(stored, as_of=KNOWN + timedelta(days=n)).address for n in range(3)]
    first = ask(olive, "?limit=2").json()
    assert [one["address"] for one in first["artifacts"]] == [made[2], made[1]]
    rest = ask(olive, f"?limit=2&before={first['next_before']}").json()
    assert [one["address"] for one in rest["artifacts"]] == [made[0]]
    assert "next_before" not in rest


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (WINDOW | {"as_of": "2012-07-01T00:00:00"}, 400, "invalid_input"),
        (WINDOW | {"as_of": "1341100800"}, 400, "invalid_input"),
        (WINDOW | {"as_of": "2012-07-01"}, 400, "invalid_input"),
        (WINDOW | {"asof": "x"}, 400, "invalid_input"),
        ({"start": "2012-06-01"}, 400, "invalid_input"),
        (WINDOW | {"release": "market/7"}, 404, "not_found"),
    ],
)
def test_a_bad_order_is_refused(stored: World, body: Any, status: int, code: str) -> None:
    answer = ask(token_of(stored, "olive"), body=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert on_disk() == []


def test_who_may_not_publish_or_see_is_refused(stored: World) -> None:
    publish(stored)
    assert ask(token_of(stored, "carl"), body=WINDOW).status_code == 403
    assert ask(token_of(stored, "carl")).status_code == 403
    reader = stored.reader()
    assert ask(reader.token, body=WINDOW).status_code == 403
    stranger = stored.reader("stranger", rollout="none")
    assert ask(stranger.token).status_code == 404


def test_a_long_list_costs_as_many_queries_as_a_short_one(stored: World) -> None:
    olive, costs = token_of(stored, "olive"), []
    for number in range(1, 5):
        publish(stored, as_of=KNOWN + timedelta(days=number))
        with CaptureQueriesContext(connection) as seen:
            assert len(ask(olive).json()["artifacts"]) == number
        costs.append(len(seen))
    assert costs[1] == costs[-1]


def test_the_admin_shows_artifacts_and_offers_no_change(stored: World) -> None:
    made = publish(stored)
    client = Client()
    client.force_login(stored.cast.user("olive"))
    listed = client.get("/admin/provider/artifact/")
    assert NODE in listed.content.decode()
    shown = client.get(f"/admin/provider/artifact/{made.pk}/change/").content.decode()
    assert made.dataset_fingerprint in shown
    assert client.get("/admin/provider/artifact/add/").status_code == 403


def run(house: World, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("SEAMLESS_TOKEN", token_of(house, "olive"))
    out = io.StringIO()
    call_command("artifact", *words, stdout=out)
    return out.getvalue()


def test_the_command_publishes_lists_shows_and_verifies(
    stored: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run(
        *(stored, monkeypatch, "publish", NODE, "--start", "2012-06-01", "--end", str(LAST)),
        *("--as-of", "2012-07-01T00:00:00Z", "--world", "paper"),
    )
    made = Artifact.objects.get()
    assert shown == f"Published 12 rows of {NODE} as of 2012-07-01T00:00:00Z:\n{made.address}\n"
    assert f"{made.address} [{FIRST}, {LAST}] 12 rows" in run(stored, monkeypatch, "list", NODE)
    manifest = json.loads(run(stored, monkeypatch, "show", NODE, made.address))
    assert fingerprint(manifest) == made.address
    assert run(stored, monkeypatch, "verify", NODE) == f"whole {made.address}\n"
    stray = directory_of(made).with_name("sha256-of-a-publication-that-died")
    stray.mkdir()
    assert f"unlisted {stray}: " in run(stored, monkeypatch, "verify", NODE)
    damage(directory_of(made), "byte")
    with pytest.raises(SystemExit):
        run(stored, monkeypatch, "verify", NODE, made.address)
    with pytest.raises(CommandError, match="not_found"):
        run(stored, monkeypatch, "show", NODE, "sha256:0")
