"""The page on which people change their own password, through the audited service."""

from django.contrib import admin
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from unfold.forms import AdminOwnPasswordChangeForm

from registry.request_context import actor_of
from registry.services.signing_in import change_password


class _ChangePassword(PasswordChangeView):
    form_class = AdminOwnPasswordChangeForm
    template_name = "registration/password_change_form.html"

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        user = form.user  # the signed-in person: the page admits nobody else
        change_password(
            actor=actor_of(self.request),
            user=user,
            password=form.cleaned_data["new_password1"],
            now=timezone.now(),
        )
        # The session holds a hash of the old password; without this it would end here.
        update_session_auth_hash(self.request, user)
        return HttpResponseRedirect(self.get_success_url())


def password_change(request: HttpRequest) -> HttpResponseBase:
    """In place of the admin site's own page, which saves past the services."""
    request.current_app = admin.site.name
    view = _ChangePassword.as_view(
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )
    return view(request)
