"""Governance endpoints under /api/v1/."""

from django.urls import path, re_path

from registry.api import audit, views

urlpatterns = [
    path("subjects", views.Subjects.as_view()),
    path("subjects/<str:subject>/versions/<int:number>", views.Versions.as_view()),
    path("subjects/<str:subject>/proposals", views.Proposals.as_view()),
    path("proposals/<int:proposal_id>", views.ProposalDetail.as_view()),
    path("proposals/<int:proposal_id>/submit", views.SubmitProposal.as_view()),
    path("proposals/<int:proposal_id>/approve", views.ApproveProposal.as_view()),
    path("proposals/<int:proposal_id>/reject", views.RejectProposal.as_view()),
    path("proposals/<int:proposal_id>/withdraw", views.WithdrawProposal.as_view()),
    path("bundles", views.Bundles.as_view()),
    path("bundles/<str:name>", views.BundleDetail.as_view()),
    path("bundles/<str:name>/releases/<int:number>", views.ReleaseDetail.as_view()),
    path("consumers", views.Consumers.as_view()),
    path("consumers/<str:name>/tokens", views.ConsumerTokens.as_view()),
    path("consumers/<str:name>/subscriptions", views.Subscriptions.as_view()),
    path("consumers/<str:name>/grants", views.Grants.as_view()),
    path("tokens/<str:prefix>/revoke", views.RevokeToken.as_view()),
    path("rollouts/<int:rollout_id>", views.RolloutDetail.as_view()),
    path("rollouts/<int:rollout_id>/approve", views.ApprovePromotion.as_view()),
    path("rollouts/<int:rollout_id>/promote", views.PromoteRollout.as_view()),
    path("rollouts/<int:rollout_id>/roll-back", views.RollBackRollout.as_view()),
    path("diagnostics", views.Diagnostics.as_view()),
    path("audit/records", audit.Records.as_view()),
    path("audit/records/<int:event_id>", audit.Record.as_view()),
    path("audit/proof/inclusion", audit.InclusionProof.as_view()),
    path("audit/proof/consistency", audit.ConsistencyProof.as_view()),
    path("audit/checkpoint", audit.LatestCheckpoint.as_view()),
    path("audit/checkpoints", audit.Checkpoints.as_view()),
    path("audit/keys", audit.Keys.as_view()),
    path("audit/export", audit.Export.as_view()),
    path("audit/exports", audit.Exports.as_view()),
    path("audit/exports/<int:export_id>", audit.ExportDetail.as_view()),
    path("audit/exports/<int:export_id>/file", audit.ExportFile.as_view()),
    path("nodes", views.Nodes.as_view()),
    # Node ids hold slashes; the more specific routes of the read API come before this one.
    re_path(r"^nodes/(?P<node_id>.+)$", views.NodeDetail.as_view()),
]
