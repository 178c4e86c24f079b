"""Governance endpoints under /api/v1/."""

from django.urls import path, re_path

from registry.api import audit, views
from registry.api import lifecycle_views as lifecycle

urlpatterns = [
    path("subjects", lifecycle.Subjects.as_view()),
    path("subjects/<str:subject>", lifecycle.SubjectDetail.as_view()),
    path("subjects/<str:subject>/proposals", lifecycle.SubjectProposals.as_view()),
    path("subjects/<str:subject>/versions/<int:number>", lifecycle.Versions.as_view()),
    path(
        "subjects/<str:subject>/versions/<int:number>/deprecate",
        lifecycle.DeprecateVersion.as_view(),
    ),
    path("subjects/<str:subject>/versions/<int:number>/retire", lifecycle.RetireVersion.as_view()),
    path("proposals", lifecycle.Proposals.as_view()),
    path("proposals/<int:proposal_id>", lifecycle.ProposalDetail.as_view()),
    path("proposals/<int:proposal_id>/submit", lifecycle.SubmitProposal.as_view()),
    path("proposals/<int:proposal_id>/recheck", lifecycle.RecheckProposal.as_view()),
    path("proposals/<int:proposal_id>/approve", lifecycle.ApproveProposal.as_view()),
    path("proposals/<int:proposal_id>/reject", lifecycle.RejectProposal.as_view()),
    path("proposals/<int:proposal_id>/withdraw", lifecycle.WithdrawProposal.as_view()),
    path("proposals/<int:proposal_id>/diff", lifecycle.ProposalDiff.as_view()),
    path("proposals/<int:proposal_id>/impact", lifecycle.ProposalImpact.as_view()),
    path("proposals/<int:proposal_id>/replay", lifecycle.ProposalReplay.as_view()),
    path("proposals/<int:proposal_id>/replay/cancel", lifecycle.CancelReplay.as_view()),
    path("proposals/<int:proposal_id>/waivers", lifecycle.ProposalWaivers.as_view()),
    path("waivers/<int:waiver_id>/grant", lifecycle.GrantWaiver.as_view()),
    path("waivers/<int:waiver_id>/end", lifecycle.EndWaiver.as_view()),
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
