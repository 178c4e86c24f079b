"""All addresses of the project."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from config import monitoring
from registry.admin.passwords import password_change

urlpatterns = [
    path("", RedirectView.as_view(url="/admin/", permanent=False)),
    path("admin/password_change/", admin.site.admin_view(password_change)),
    path("admin/", admin.site.urls),
    path("livez", monitoring.livez),
    path("readyz", monitoring.readyz),
    path("metrics", monitoring.Metrics.as_view()),
    path("api/v1/", include("coordinator.api.urls")),
    # Before the registry's: node ids hold slashes, so its catch-all for nodes comes last.
    path("api/v1/", include("provider.api.urls")),
    path("api/v1/", include("registry.api.urls")),
    path("", include("coordinator.urls")),
]
handler403 = "config.monitoring.denied"
handler404 = "config.monitoring.not_found"
handler500 = "config.monitoring.crashed"
