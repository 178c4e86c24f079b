"""The read API under /api/v1/. Node ids hold colons and slashes, so these are patterns."""

from django.urls import re_path

from provider.api import artifact_views, quality_views, rules_view, views

urlpatterns = [
    re_path(r"^nodes/(?P<node_id>.+)/data$", views.Data.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/coverage$", views.Coverage.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/quality$", quality_views.Quality.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/preview$", quality_views.Preview.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/rules$", rules_view.Rules.as_view()),
    re_path(r"^nodes/(?P<node_id>.+)/reports$", quality_views.Reports.as_view()),
    re_path(
        r"^nodes/(?P<node_id>.+)/reports/(?P<digest>sha256:[0-9a-f]{64})$",
        quality_views.Report.as_view(),
    ),
    re_path(r"^nodes/(?P<node_id>.+)/artifacts$", artifact_views.Artifacts.as_view()),
    re_path(
        r"^nodes/(?P<node_id>.+)/artifacts/(?P<digest>sha256:[0-9a-f]{64})$",
        artifact_views.ArtifactManifest.as_view(),
    ),
    re_path(r"^observability/seamless/(?P<node_id>.+)$", quality_views.PublishedQuality.as_view()),
]
