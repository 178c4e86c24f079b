"""Every action of a person is there over REST, in the shell and on a page, or it says why not."""

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.core.management import get_commands, load_command_class

from tests.config.test_access import api_views
from tests.mutations import ADDRESSES, COMMANDS, DECISIONS
from tests.reaches import REACHES, Not

FACES = {"admin", "api", "management"}
ROOMS = ("registry", "coordinator", "provider")


def actions() -> set[str]:
    """The public functions that audit what they do, by themselves or through their module's own."""
    found = set()
    for room in ROOMS:
        root = Path(settings.BASE_DIR)
        for file in sorted((root / room).rglob("*.py")):
            names = acting(ast.parse(file.read_text("utf-8")))
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            found |= {f"{module}.{name}" for name in names if not name.startswith("_")}
    return found


def acting(module: ast.Module) -> set[str]:
    calls = {
        function.name: {
            call.func.id
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        for function in module.body
        if isinstance(function, ast.FunctionDef)
    }
    found: set[str] = set()
    while True:
        known = found | {"audited_action"}
        more = {name for name, called in calls.items() if called & known}
        if more == found:
            return found
        found = more


def test_every_action_says_from_where_it_can_be_asked_for() -> None:
    assert actions() == set(REACHES), (
        "a new action: add a line to tests/reaches.py with its address, its command and its button,"
        " or with the reason why it has none"
    )


@pytest.mark.parametrize("action", REACHES)
def test_an_action_is_behind_each_face_that_is_named_for_it(action: str) -> None:
    name = action.rpartition(".")[2]
    rest, shell, page = REACHES[action]
    if not isinstance(rest, Not):
        assert rest in ADDRESSES
        assert name in said_by(*ours(dict(api_views())[rest[1]]))
    if not isinstance(shell, Not):
        command, verb = shell
        assert verb in COMMANDS[command]
        assert name in said_by(type(load_command_class(get_commands()[command], command)))
    if not isinstance(page, Not):
        label, button = page
        assert button in DECISIONS[label]
        shown = type(admin.site._registry[apps.get_model(label)])
        assert name in said_by(inspect.unwrap(getattr(shown, button)))


def ours(view: type) -> list[type]:
    return [base for base in view.__mro__ if base.__module__.split(".")[0] in ROOMS]


def said_by(*objects: Any) -> str:
    """Their source, with that of the functions and modules of faces that they name."""
    told = []
    for thing in objects:
        source, module = inspect.getsource(thing), inspect.getmodule(thing)
        told.append(source)
        for word in sorted(set(re.findall(r"\w+", source))):
            used = getattr(module, word, None)
            home = used.__name__ if inspect.ismodule(used) else getattr(used, "__module__", "")
            seen = inspect.isfunction(used) or inspect.ismodule(used)
            if seen and FACES & set(home.split(".")):
                told.append(inspect.getsource(used))
    return "".join(told)


def test_no_action_is_without_any_face_but_those_of_workers_and_downloads() -> None:
    without = {
        action for action, faces in REACHES.items() if all(isinstance(face, Not) for face in faces)
    }
    assert without == {
        "registry.services.audit.export_jobs.fetch_export",
        "registry.services.audit.export_jobs.run_next_export",
        "registry.services.audit.export_links.fetch_by_link",
        "registry.services.rollouts.promote_ready",
        "registry.services.signing_in.change_password",
    }
