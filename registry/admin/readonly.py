"""The one base of all our admin pages: what a service must decide, no form can change.

Pages show an object's own fields, and above them panels (`registry.admin.panels`).
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from registry.admin.access import EVERY_ROLE, roles_of
from registry.admin.panels import Panel
from registry.models import Node, Role
from registry.request_context import actor_of
from registry.services.visibility import has_rule, visible


class ReadOnlyAdmin(ModelAdmin):
    """Lists and pages without add, change or delete, seen by the roles in `viewers` alone."""

    viewers: ClassVar[frozenset[Role]] = EVERY_ROLE
    of_node: ClassVar[str] = ""
    """The field by which a row of the rooms above hangs on a node: it is seen with that."""
    actions = None
    list_per_page = 50
    change_form_outer_before_template = "registry/panels.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What the signed-in person may see, where there is a rule for it."""
        found: QuerySet[Any] = super().get_queryset(request)
        if self.of_node:
            nodes = visible(actor_of(request), Node.objects.order_by())
            return found.filter(**{f"{self.of_node}__in": nodes})
        return visible(actor_of(request), found) if has_rule(self.model) else found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.viewers & roles_of(request))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def panels(self, request: HttpRequest, obj: Any) -> Sequence[Panel]:
        """What the page shows above the object's own fields."""
        return ()

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context |= {"panels": self.panels(request, obj), "title": str(obj), "subtitle": None}
        return super().render_change_form(request, context, add, change, form_url, obj)


class ReadOnlyLogAdmin(ReadOnlyAdmin):
    """A list that only ever grows: never counted, newest first."""

    paginator = InfinitePaginator
    show_full_result_count = False
