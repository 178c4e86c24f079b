"""The admin pages in a real browser: dialogs decide, refusals are read, the console is silent."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from config.stack import EmbeddedStack
from registry.audit.verify import OK
from registry.audit.verify.command import check_file

pytestmark = pytest.mark.stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NO_CHROMIUM = "no Chromium: `apt-get install chromium`"
SCHEMA = {
    "type": "object",
    "properties": {"ts": {"type": "integer"}, "price": {"type": "number"}},
    "x-seamless": {"time": "ts", "unit": "s"},
}
SEED = f"""
import json
from django.contrib.auth.models import User
from django.utils import timezone
from registry.actors import Actor
from registry.services import proposals, subjects

ada, now = User.objects.get(username="ada"), timezone.now()
actor = Actor(kind="user", id=str(ada.pk), name="ada")
subjects.create_subject(actor=actor, name="market.bars", owner_team="market", now=now)
made = proposals.propose_schema(
    actor=actor, subject="market.bars", document=json.dumps({SCHEMA!r}), now=now, reason="first"
).proposal
proposals.submit_proposal(actor=actor, proposal_id=made.pk, now=now)
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with EmbeddedStack(tmp_path_factory.mktemp("browser") / "var") as stack:
        yield stack


def manage(stack: EmbeddedStack, *arguments: str) -> str:
    done = stack.manage(*arguments)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def passwords(stack: EmbeddedStack) -> dict[str, str]:
    """Of ada, who owns the subject and may review, of bo, who may review, and of cleo, auditor."""
    manage(stack, "people", "team", "market")
    printed = {
        name: manage(stack, "people", "add", name, "--team", "market", "--role", role)
        for name, role in (("ada", "owner"), ("bo", "reviewer"), ("cleo", "auditor"))
    }
    manage(stack, "people", "join", "ada", "--team", "market", "--role", "reviewer")
    manage(stack, "shell", "-c", SEED)
    found = {name: re.search(r"password (\S+)", text) for name, text in printed.items()}
    return {name: match[1] for name, match in found.items() if match}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


class Visit:
    """One person's tab; `complaints` holds whatever the console, the page or the server said."""

    def __init__(self, browser: Browser, stack: EmbeddedStack) -> None:
        self.url = stack.url
        self.context = browser.new_context()
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "response",
            lambda answer: (
                self.complaints.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def sign_in(self, name: str, password: str) -> None:
        self.open("/admin/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", password)
        self.page.click("#login-form [type=submit]")
        self.page.wait_for_url(f"{self.url}/admin/")

    def decide(self, button: str, dialog: str, *, comment: str) -> None:
        self.page.click(f"a:has-text('{button}')")
        self.page.wait_for_selector(f"#dialog >> text={dialog}")
        self.page.fill("#dialog textarea", comment)
        with self.page.expect_navigation():
            self.page.click("#dialog button[type=submit]")


@pytest.fixture
def visit(browser: Browser, stack: EmbeddedStack) -> Iterator[Visit]:
    visit = Visit(browser, stack)
    yield visit
    visit.context.close()


def test_the_owner_is_told_why_not_and_a_second_person_approves(
    visit: Visit, browser: Browser, stack: EmbeddedStack, passwords: dict[str, str]
) -> None:
    visit.sign_in("ada", passwords["ada"])
    visit.page.click("table >> text=market.bars")
    visit.decide("Approve", "Approve this proposal", comment="It is mine.")
    visit.page.wait_for_selector("text=ada wrote proposal 1 and cannot review it")

    second = Visit(browser, stack)
    second.sign_in("bo", passwords["bo"])
    second.open("/admin/registry/proposal/1/change/")
    second.decide("Approve", "Approve this proposal", comment="Fits.")
    second.page.wait_for_selector("text=market.bars version 1 is approved")
    assert second.page.locator("a:has-text('Reject')").count() == 0
    second.context.close()
    assert visit.complaints == []
    assert second.complaints == []


def test_the_pages_load_without_a_word_in_the_console(
    visit: Visit, passwords: dict[str, str]
) -> None:
    """Under the content security policy as served: a blocked script or style is an error there."""
    visit.open("/admin/login/")
    visit.sign_in("ada", passwords["ada"])
    for path in (
        "/admin/",
        "/admin/registry/proposal/",
        "/admin/registry/proposal/1/change/",
        "/admin/registry/subject/1/change/",
        "/admin/registry/schemaversion/1/change/",
        "/admin/registry/auditevent/",
        "/admin/registry/diagnostic/",
    ):
        visit.open(path)
        visit.page.wait_for_load_state("networkidle")
    visit.page.set_viewport_size({"width": 390, "height": 800})
    visit.open("/admin/registry/proposal/1/change/")
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visit.page.evaluate(wide) == 0, "a phone has to scroll sideways"
    assert visit.complaints == []


def test_an_auditor_exports_the_log_and_fetches_a_bundle_that_holds(
    visit: Visit, passwords: dict[str, str], tmp_path: Path
) -> None:
    visit.sign_in("cleo", passwords["cleo"])
    visit.open("/admin/registry/auditevent/")
    visit.page.wait_for_selector("text=in checkpoint")
    visit.page.click("[hx-get$='/auditevent/export/']")
    visit.page.wait_for_selector("#dialog >> text=Export the audit log")
    with visit.page.expect_navigation():
        visit.page.click("#dialog button[type=submit]")
    visit.page.wait_for_selector("text=100 %", timeout=30_000)
    with visit.page.expect_download() as fetched:
        visit.page.click("a:has-text('zip')")
    fetched.value.save_as(tmp_path / "bundle.zip")
    code, text = check_file(tmp_path / "bundle.zip")
    assert (code, text[:3]) == (OK, "ok:")
    visit.open("/admin/registry/auditexport/")
    visit.open("/admin/registry/auditevent/")
    visit.page.click("table >> text=audit.export >> nth=0")
    assert visit.complaints == []
