"""Sign-ins and passwords leave their records, and no secret in them."""

from django.test import Client

from registry.models import AuditEvent, AuditPayload, AuditPersonal
from tests.cast import PASSWORD, Cast

NEW = "an entirely different phrase"


def records() -> list[tuple[str, str, str]]:
    events = AuditEvent.objects.filter(action__startswith="person.").exclude(action="person.create")
    return list(events.order_by("pk").values_list("action", "outcome", "personal__object_id"))


def test_signing_in_and_out_and_failing_to_are_recorded(cast: Cast) -> None:
    client = Client()
    for name, password in (("olive", "wrong"), ("nobody", "hunter2-secret"), ("olive", PASSWORD)):
        client.post("/admin/login/", {"username": name, "password": password})
    client.post("/admin/logout/")
    assert records() == [
        ("person.sign_in", "denied", "olive"),
        ("person.sign_in", "denied", "nobody"),
        ("person.sign_in", "ok", "olive"),
        ("person.sign_out", "ok", "olive"),
    ]
    texts = "".join(
        text
        for model in (AuditPayload, AuditPersonal)
        for text in model.objects.values_list("text", flat=True)
    )
    assert "hunter2-secret" not in texts
    assert PASSWORD not in texts


def test_a_password_is_changed_through_the_service_and_recorded(cast: Cast) -> None:
    client = Client()
    assert client.login(username="olive", password=PASSWORD)
    page = client.get("/admin/password_change/")
    assert page.status_code == 200
    form = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    answer = client.post("/admin/password_change/", form)
    assert answer.status_code == 302
    assert records()[-1] == ("person.change_password", "ok", "olive")
    assert client.get("/admin/").status_code == 200  # this session goes on
    assert cast.user("olive").check_password(NEW)


def test_a_wrong_old_password_changes_nothing(cast: Cast) -> None:
    client = Client()
    client.login(username="olive", password=PASSWORD)
    form = {"old_password": "no", "new_password1": NEW, "new_password2": NEW}
    assert client.post("/admin/password_change/", form).status_code == 200
    assert cast.user("olive").check_password(PASSWORD)
    assert "person.change_password" not in {action for action, _, _ in records()}
