"""Bundles, their releases, and the file that says what they should be."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import GovernanceView, body_of, query_of, selected
from registry.api.pages import page_of
from registry.api.views import CREATED
from registry.bundle_files import format_bundle_file, parse_bundle_file
from registry.errors import InvalidInput
from registry.models import Bundle, Release
from registry.request_context import actor_of
from registry.services import releases
from registry.services.bundle_plans import (
    apply_bundles,
    export_bundles,
    plan_bundles,
    require_known,
)
from registry.services.comparisons import compare_releases
from registry.services.visibility import visible


class Bundles(GovernanceView):
    def get(self, request: Request) -> Response:
        wanted = selected(
            request, inputs.BundleListing, team="owner_team__name", subject="members__subject__name"
        )
        found = Bundle.objects.filter(**wanted).select_related("owner_team", "gate_policy")
        found = visible(actor_of(request), found.prefetch_related("subjects"))
        page, following = page_of(request, found, key="name", descending=False)
        shown = [releases.bundle_facts(one) | {"name": one.name} for one in page]
        return Response({"bundles": shown, "next": following})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewBundle)
        bundle = releases.create_bundle(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.bundle_json(bundle), status=CREATED)


class BundleDetail(GovernanceView):
    def get(self, request: Request, bundle: str) -> Response:
        return Response(representations.bundle_json(releases.bundle_named(bundle)))


class ChangeBundle(GovernanceView):
    def post(self, request: Request, bundle: str) -> Response:
        releases.change_bundle(
            actor=actor_of(request),
            name=bundle,
            now=timezone.now(),
            **body_of(request, inputs.BundleChange),
        )
        return Response(representations.bundle_json(releases.bundle_named(bundle)))


class CutRelease(GovernanceView):
    def post(self, request: Request, bundle: str) -> Response:
        release = releases.cut_release(actor=actor_of(request), name=bundle, now=timezone.now())
        return Response(representations.release_json(release))


class Releases(GovernanceView):
    """The releases of a bundle, the newest first."""

    def get(self, request: Request, bundle: str) -> Response:
        query_of(request, inputs.Listing)
        page, following = page_of(
            request, releases.bundle_named(bundle).releases.all(), key="number"
        )
        return Response({"releases": [_brief(release) for release in page], "next": following})


class ReleaseDetail(GovernanceView):
    def get(self, request: Request, bundle: str, number: int) -> Response:
        release = releases.release_of(bundle, number)
        answer = Response(representations.release_json(release))
        answer["ETag"] = f'"{release.fingerprint}"'
        return answer


class CompareReleases(GovernanceView):
    """What `number` has over the release in `?with=`."""

    def get(self, request: Request, bundle: str, number: int) -> Response:
        other = request.query_params.get("with", "")
        if not other.isdecimal() or len(other) > 9:
            raise InvalidInput("Name the release to compare with: ?with=1.", parameter="with")
        before, after = releases.release_of(bundle, int(other)), releases.release_of(bundle, number)
        return Response(asdict(compare_releases(before, after)))


class ExportBundles(GovernanceView):
    """The bundles as a file; `?bundle=` selects, and may come more than once."""

    def get(self, request: Request) -> Response:
        found = export_bundles(actor_of(request), request.query_params.getlist("bundle"))
        return Response({"file": format_bundle_file(found)})


class PlanBundles(GovernanceView):
    """What a file would change, and whether registry and file have drifted apart."""

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.BundleFile)
        wanted = parse_bundle_file(fields["file"])
        require_known(actor_of(request), wanted)
        return Response(representations.plan_json(plan_bundles(wanted, again=fields["again"])))


class ApplyBundles(GovernanceView):
    def post(self, request: Request) -> Response:
        fields, actor = body_of(request, inputs.BundleFileWithPlan), actor_of(request)
        wanted = parse_bundle_file(fields["file"])
        require_known(actor, wanted)
        done = apply_bundles(
            actor=actor,
            wanted=wanted,
            plan=fields["plan"],
            again=fields["again"],
            now=timezone.now(),
        )
        return Response(representations.plan_json(done))


def _brief(release: Release) -> dict[str, Any]:
    return {
        "release": release.number,
        "fingerprint": release.fingerprint,
        "created_at": release.created_at,
    }
