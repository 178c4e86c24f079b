"""The rule of the rooms: nothing of a lower room knows a higher one, in the database either.

Imports are import-linter's part (`make check`); these are the references that no import shows:
foreign keys, references written as strings, and dependencies between migrations.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.fields import FieldOperation
from django.db.migrations.operations.models import CreateModel
from django.db.migrations.state import ModelState
from django.db.models import Model

ROOMS = ("registry", "coordinator", "provider")  # each may refer to itself and to those before it
PROJECT = Path(__file__).resolve().parent.parent


def goes_up(room: str, other: str) -> bool:
    """Whether a reference from `room` to `other` goes up; what is not a room of ours never is."""
    return other in ROOMS and ROOMS.index(other) > ROOMS.index(room)


def model_references(model: type[Model]) -> Iterator[tuple[str, str]]:
    """(field, label of the app it refers to) of every relation, through tables and bases."""
    for field in (*model._meta.local_fields, *model._meta.local_many_to_many):
        if field.remote_field is not None:
            yield field.name, field.remote_field.model._meta.app_label
            through = getattr(field.remote_field, "through", None)
            if through is not None:
                yield f"{field.name} (through)", through._meta.app_label
    for base in model._meta.parents:
        yield "(base class)", base._meta.app_label


def field_references(name: str, field: Any) -> Iterator[tuple[str, str]]:
    """The same, of a field inside a migration, where a relation is the string "app.model"."""
    relation = getattr(field, "remote_field", None)
    for target in (getattr(relation, "model", None), getattr(relation, "through", None)):
        if target is not None:
            yield name, app_of(target)


def app_of(target: str | type[Model]) -> str:
    if isinstance(target, str):
        return target.partition(".")[0].lower() if "." in target else ""
    return target._meta.app_label


def operation_references(operation: object) -> Iterator[tuple[str, str]]:
    if isinstance(operation, CreateModel):
        for name, field in ModelState("", operation.name, operation.fields).fields.items():
            yield from field_references(f"{operation.name}.{name}", field)
        for base in operation.bases or ():
            if isinstance(base, str):
                yield f"{operation.name} (base class)", app_of(base)
    elif isinstance(operation, FieldOperation):
        name = f"{operation.model_name}.{operation.name}"
        yield from field_references(name, getattr(operation, "field", None))


@pytest.mark.parametrize("room", ROOMS)
def test_models_refer_only_to_their_own_room_and_lower_ones(room: str) -> None:
    upward = [
        f"{model.__name__}.{name} -> {other}"
        for model in apps.get_app_config(room).get_models(include_auto_created=True)
        for name, other in model_references(model)
        if goes_up(room, other)
    ]
    assert upward == []


@pytest.mark.parametrize("room", ROOMS)
def test_migrations_depend_only_on_their_own_room_and_lower_ones(room: str) -> None:
    migrations = MigrationLoader(connection=None).disk_migrations
    upward = []
    for (label, name), migration in migrations.items():
        if label != room:
            continue
        told = [("depends on", app) for app, _ in (*migration.dependencies, *migration.run_before)]
        for operation in migration.operations:
            told.extend(operation_references(operation))
        upward += [f"{name}: {what} -> {app}" for what, app in told if goes_up(room, app)]
    assert upward == []


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_has_models_and_migrations_to_walk(room: str) -> None:
    assert list(apps.get_app_config(room).get_models())
    assert room in {label for label, _ in MigrationLoader(connection=None).disk_migrations}


def test_goes_up_tells_the_directions_apart() -> None:
    assert goes_up("registry", "provider")
    assert goes_up("registry", "coordinator")
    assert goes_up("coordinator", "provider")
    assert not goes_up("provider", "registry")
    assert not goes_up("registry", "registry")
    assert not goes_up("registry", "auth")


def test_the_pure_modules_are_the_same_for_types_and_for_imports() -> None:
    tool = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    strict = next(part for part in tool["mypy"]["overrides"] if part.get("extra_checks"))
    pure = next(part for part in tool["importlinter"]["contracts"] if part["id"] == "pure-core")
    typed = {name.removesuffix(".*") for name in strict["module"]}
    assert typed == set(pure["source_modules"])
