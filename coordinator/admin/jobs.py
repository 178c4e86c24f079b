"""A job looked at live while it runs, with the decisions about it."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.paginator import InfinitePaginator

from coordinator.admin.forms import OptionalReasonForm, PriorityForm, ReprocessForm
from coordinator.lease_state import ACTIVE_JOB_STATES, JobState, ShardState
from coordinator.live_page import STATE_COLOURS, bar_time, live_page
from coordinator.models import BackfillJob, BackfillShard
from coordinator.services import steering
from coordinator.services.certifying import report_of
from coordinator.services.database_clock import database_now
from coordinator.services.finishing import cancel_job
from registry.admin.decisions import DecisionAdmin, ReasonForm, decision
from registry.admin.panels import Panel, label, link, moment, pretty_json

SHOWN_SHARDS = 50


@admin.register(BackfillJob)
class BackfillJobAdmin(DecisionAdmin):
    """Looked at live while it runs; its buttons are the decisions of `manage.py backfill`."""

    paginator = InfinitePaginator
    show_full_result_count = False
    change_form_outer_before_template = "coordinator/job.html"
    list_display = ("about", "state_label", "done", "bars", "created", "ended")
    of_node = "node"
    list_filter = ("state",)
    list_select_related = ("node", "bound_version__subject")
    search_fields = ("node__node_id", "=lease_key", "requested_by", "=request_id")
    ordering = ("-pk",)
    actions_detail = ("pause", "resume", "retry", "reprocess", "priority", "cancel")

    def get_queryset(self, request: HttpRequest) -> QuerySet[BackfillJob]:
        found: QuerySet[BackfillJob] = super().get_queryset(request)
        # A subquery: only the jobs of the page are summed up, however many shards there are.
        done = BackfillShard.objects.filter(job=OuterRef("pk"), state=ShardState.DONE)
        bars = done.order_by().values("job").annotate(bars=Sum("expected_bars")).values("bars")
        return found.annotate(committed_bars=Subquery(bars))

    def get_urls(self) -> list[URLPattern]:
        live = self.admin_site.admin_view(self.live)
        return [
            path("<int:job_id>/live/", live, name="coordinator_backfilljob_live"),
            *super().get_urls(),
        ]

    def live(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """The part of the page that moves."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        job = self.object_or_404(request, str(job_id))
        return TemplateResponse(request, "coordinator/job_live.html", {"live": live_page(job)})

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["live"] = live_page(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    @display(description="Backfill", header=True, ordering="pk")
    def about(self, job: BackfillJob) -> Sequence[str]:
        return f"{job.pk} · {job.node}", f"{job.bound_version}, for {job.requested_by}"

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, job: BackfillJob) -> str:
        return job.state

    @display(description="Bars", header=True)
    def done(self, job: BackfillJob) -> Sequence[str]:
        committed = getattr(job, "committed_bars", None) or 0
        return f"{committed / job.expected_bars:.1%}", f"of {job.expected_bars}"

    @display(description="Bar times", header=True, ordering="range_start")
    def bars(self, job: BackfillJob) -> Sequence[str]:
        return bar_time(job.range_start), f"to {bar_time(job.range_end)}"

    @display(description="Created", ordering="created_at")
    def created(self, job: BackfillJob) -> str:
        return moment(job.created_at)

    @display(description="Ended", ordering="ended_at")
    def ended(self, job: BackfillJob) -> str:
        return moment(job.ended_at)

    def panels(self, request: HttpRequest, obj: BackfillJob) -> Sequence[Panel]:
        return (*_report(obj), _shards(obj))

    def offered(self, obj: BackfillJob) -> Collection[str]:
        failed = obj.shards.filter(state=ShardState.VIOLATION).exists()
        again = ("retry", "reprocess") if failed else ("reprocess",)
        if obj.state not in ACTIVE_JOB_STATES:
            return again
        turn = "resume" if obj.state == JobState.PAUSED else "pause"
        return (turn, *again, "priority", "cancel")

    @decision(
        "Pause this backfill",
        "What runs is finished and nothing more begun, but for what a reader waits for.",
        OptionalReasonForm,
        submit="Pause",
        icon="pause",
        button="Pause",
    )
    def pause(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> HttpResponse:
        return self._steer(request, form, object_id, steering.pause_job, "It is paused.")

    @decision(
        "Resume this backfill",
        "It goes on with what is unfinished.",
        OptionalReasonForm,
        submit="Resume",
        icon="play_arrow",
        variant=ActionVariant.PRIMARY,
        button="Resume",
    )
    def resume(
        self, request: HttpRequest, form: OptionalReasonForm, object_id: str
    ) -> HttpResponse:
        return self._steer(request, form, object_id, steering.resume_job, "It goes on.")

    @decision(
        "Do again what has failed",
        "Every shard that ended as a violation is tried anew, under its next epoch.",
        OptionalReasonForm,
        submit="Retry",
        icon="replay",
        variant=ActionVariant.PRIMARY,
        button="Retry failed",
    )
    def retry(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> HttpResponse:
        return self._steer(
            request,
            form,
            object_id,
            partial(steering.reprocess_job, again=steering.Again.FAILED),
            "The failed shards are done again.",
        )

    @decision(
        "Do shards of this backfill again",
        "Under their next epoch: no result of before commits after this.",
        ReprocessForm,
        submit="Reprocess",
        icon="restart_alt",
        button="Reprocess",
    )
    def reprocess(self, request: HttpRequest, form: ReprocessForm, object_id: str) -> HttpResponse:
        chosen = form.cleaned_data
        return self._steer(
            request,
            form,
            object_id,
            partial(
                steering.reprocess_job,
                again=steering.Again(chosen["what"]),
                newest_first=chosen["order"] == "newest",
            ),
            "The shards are done again.",
        )

    @decision(
        "Move it in the queue",
        "A point is worth 36 seconds of waiting; what a reader waits for stays in front.",
        PriorityForm,
        submit="Change",
        icon="low_priority",
        button="Priority",
    )
    def priority(self, request: HttpRequest, form: PriorityForm, object_id: str) -> HttpResponse:
        return self._steer(
            request,
            form,
            object_id,
            partial(steering.change_priority, priority=form.cleaned_data["priority"]),
            "Its priority has changed.",
        )

    @decision(
        "Cancel this backfill",
        "It ends at once: no result of it commits any more. What is done stays.",
        ReasonForm,
        submit="Cancel it",
        icon="cancel",
        variant=ActionVariant.DANGER,
        button="Cancel",
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._steer(request, form, object_id, cancel_job, "It is cancelled.")

    def _steer(
        self,
        request: HttpRequest,
        form: BaseDialogForm,
        object_id: str,
        service: Callable[..., Any],
        done: str,
    ) -> HttpResponse:
        job = self.object_or_404(request, object_id)
        reason = form.cleaned_data["reason"]
        return self.decide(
            request,
            job,
            lambda actor, _: service(actor=actor, job_id=job.pk, now=database_now(), reason=reason),
            lambda _: done,
        )


def _report(job: BackfillJob) -> Sequence[Panel]:
    """The certificate of a job that is done, the missing ranges of one that is not."""
    if job.state in ACTIVE_JOB_STATES:
        return ()
    report = report_of(job_id=job.pk)
    facts = {name: value for name, value in report.items() if name not in ("done", "missing")}
    title = "Completeness certificate" if job.state == JobState.DONE else "Violation report"
    missing = Panel(
        title="Missing ranges",
        headers=("First bar", "Last bar", "Shards", "Code", "Error"),
        rows=[
            (bar_time(start), bar_time(end), run["shards"], run["code"], run["error"])
            for run in report["missing"][:SHOWN_SHARDS]
            for start, end in [run["range"]]
        ],
    )
    certificate = Panel(title=title, code=pretty_json(facts))
    return (missing, certificate) if report["missing"] else (certificate,)


def _shards(job: BackfillJob) -> Panel:
    shards = job.shards.order_by("range_start")[:SHOWN_SHARDS]
    return Panel(
        title=f"Shards (the first {SHOWN_SHARDS})",
        headers=("Shard", "First bar", "Last bar", "State", "Epoch", "Attempts", "Rows"),
        rows=[
            (
                link(s, str(s.pk)),
                bar_time(s.range_start),
                bar_time(s.range_end),
                label(s.state, STATE_COLOURS),
                s.epoch,
                s.attempts,
                "" if s.n_rows is None else s.n_rows,
            )
            for s in shards
        ],
    )
