"""The read API under /api/v1/. Node ids hold colons and slashes, so these are patterns."""

from django.urls import re_path

from provider.api import views

urlpatterns = [
    re_path(r"^nodes/(?P<node_id>.+)/data$", views.Data.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/coverage$", views.Coverage.as_view()),
    re_path(
        r"^nodes/(?P<node_id>.+)/reports/(?P<digest>sha256:[0-9a-f]{64})$", views.Report.as_view()
    ),
]
