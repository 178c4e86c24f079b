from django.urls import path

from coordinator.api import backfills, quarantine

urlpatterns = [
    path("backfills", backfills.Backfills.as_view()),
    path("backfills/<int:job_id>", backfills.BackfillDetail.as_view()),
    path("backfills/<int:job_id>/shards", backfills.BackfillShards.as_view()),
    path("backfills/<int:job_id>/map", backfills.BackfillMap.as_view()),
    path("backfills/<int:job_id>/report", backfills.BackfillReport.as_view()),
    path("backfills/<int:job_id>/pause", backfills.PauseBackfill.as_view()),
    path("backfills/<int:job_id>/resume", backfills.ResumeBackfill.as_view()),
    path("backfills/<int:job_id>/cancel", backfills.CancelBackfill.as_view()),
    path("backfills/<int:job_id>/priority", backfills.PrioritiseBackfill.as_view()),
    path("backfills/<int:job_id>/retry", backfills.RetryBackfill.as_view()),
    path("backfills/<int:job_id>/reprocess", backfills.ReprocessBackfill.as_view()),
    path("source-limits", backfills.SourceLimits.as_view()),
    path("quarantine", quarantine.QuarantineList.as_view()),
    path("quarantine/<int:row_id>", quarantine.QuarantinedRow.as_view()),
    path("quarantine/<int:row_id>/release", quarantine.ReleaseQuarantine.as_view()),
]
