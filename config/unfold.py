"""The look and the navigation of the admin pages (settings of django-unfold)."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy

ACCESS = "registry.admin.access"


def _item(title: str, icon: str, view: str, permission: str, **more: str) -> dict[str, Any]:
    link = reverse_lazy(f"admin:{view}")
    return {
        "title": title,
        "icon": icon,
        "link": link,
        "permission": f"{ACCESS}.{permission}",
        **more,
    }


def _list(title: str, icon: str, model: str, permission: str = "is_member", **more: str) -> Any:
    return _item(title, icon, f"{model}_changelist", permission, **more)


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Seamless",
    "SITE_HEADER": "Seamless",
    "SITE_SUBHEADER": "Time-series governance",
    "SITE_SYMBOL": "account_tree",
    "SITE_URL": None,
    "SHOW_HISTORY": False,  # the audit log is the history
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("registry/favicon.svg"),
        }
    ],
    "STYLES": [
        lambda request: static("registry/admin.css"),
        lambda request: static("coordinator/admin.css"),
    ],
    "DASHBOARD_CALLBACK": "config.dashboard.fill_dashboard",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [_item("Dashboard", "dashboard", "index", "is_member")],
            },
            {
                "title": "Schemas",
                "separator": True,
                "items": [
                    _list("Subjects", "schema", "registry_subject"),
                    _list(
                        "Proposals",
                        "rate_review",
                        "registry_proposal",
                        badge="config.dashboard.proposals_in_review",
                        badge_variant="info",
                    ),
                    _list("Versions", "history", "registry_schemaversion"),
                    _list("Bundles", "inventory_2", "registry_bundle"),
                    _list("Releases", "new_releases", "registry_release"),
                ],
            },
            {
                "title": "Consumers",
                "separator": True,
                "items": [
                    _list("Consumers", "group_work", "registry_consumer"),
                    _list("Rollouts", "rocket_launch", "registry_rollout"),
                    _list("Incidents", "warning", "registry_incident"),
                    _list("Gate overrides", "lock_open", "registry_gateoverride"),
                    _list("Gate policies", "rule", "registry_gatepolicy"),
                    _list("Tokens", "key", "registry_accesstoken", "may_keep_tokens"),
                ],
            },
            {
                "title": "Data",
                "separator": True,
                "items": [
                    _list("Nodes", "dataset", "registry_node"),
                    _list("SLA policies", "timer", "registry_slapolicydocument"),
                    _list("Diagnostics", "troubleshoot", "registry_diagnostic"),
                    _list("Usage", "query_stats", "registry_usage"),
                    _list("Samples", "science", "registry_retainedsample"),
                    _list("Backfill jobs", "sync", "coordinator_backfilljob"),
                    _list("Quarantine", "block", "coordinator_quarantine", "may_read_audit"),
                    _list("Source limits", "speed", "coordinator_sourcelimit"),
                    _list("Reports", "fact_check", "provider_storedreport"),
                    _list("Artifacts", "inventory_2", "provider_artifact"),
                ],
            },
            {
                "title": "Proof",
                "separator": True,
                "items": [
                    _list("Audit log", "gavel", "registry_auditevent", "may_read_audit"),
                    _list("Exports", "download", "registry_auditexport", "may_export_audit"),
                    _list("Checkpoints", "verified", "registry_auditcheckpoint", "may_read_audit"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _list("Teams", "groups", "registry_team"),
                    _list("People", "person", "auth_user", "may_read_people"),
                ],
            },
        ],
    },
}
