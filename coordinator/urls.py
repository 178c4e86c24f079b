from django.urls import path

from coordinator.views import ClaimLease, CompleteLease, FailLease, Health, Leases, RenewLease

app_name = "coordinator"
urlpatterns = [
    path("v1/leases/claim", ClaimLease.as_view(), name="lease-claim"),
    path("v1/leases", Leases.as_view(), name="leases"),
    path("v1/leases/renew", RenewLease.as_view(), name="lease-renew"),
    path("v1/leases/complete", CompleteLease.as_view(), name="lease-complete"),
    path("v1/leases/fail", FailLease.as_view(), name="lease-fail"),
    path("healthz", Health.as_view(), name="healthz"),
]
