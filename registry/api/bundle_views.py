"""Bundles, their releases, and the file that says what they should be."""

from dataclasses import asdict
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import PAGE, GovernanceView, body_of
from registry.api.views import CREATED
from registry.bundle_files import format_bundle_file, parse_bundle_file
from registry.errors import InvalidInput
from registry.models import Bundle, Release
from registry.request_context import actor_of
from registry.services import releases
from registry.services.bundle_plans import apply_bundles, export_bundles, plan_bundles
from registry.services.comparisons import compare_releases


class Bundles(GovernanceView):
    def get(self, request: Request) -> Response:
        found = Bundle.objects.select_related("owner_team", "gate_policy").order_by("name")[:PAGE]
        return Response({"bundles": [releases.bundle_facts(b) | {"name": b.name} for b in found]})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewBundle)
        bundle = releases.create_bundle(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.bundle_json(bundle), status=CREATED)


class BundleDetail(GovernanceView):
    def get(self, request: Request, name: str) -> Response:
        return Response(representations.bundle_json(releases.bundle_named(name)))


class ChangeBundle(GovernanceView):
    def post(self, request: Request, name: str) -> Response:
        releases.change_bundle(
            actor=actor_of(request),
            name=name,
            now=timezone.now(),
            **body_of(request, inputs.BundleChange),
        )
        return Response(representations.bundle_json(releases.bundle_named(name)))


class CutRelease(GovernanceView):
    def post(self, request: Request, name: str) -> Response:
        release = releases.cut_release(actor=actor_of(request), name=name, now=timezone.now())
        return Response(representations.release_json(release))


class Releases(GovernanceView):
    """The releases of a bundle, the newest first."""

    def get(self, request: Request, name: str) -> Response:
        bundle = releases.bundle_named(name)
        found = bundle.releases.order_by("-number")[:PAGE]
        return Response({"releases": [_brief(release) for release in found]})


class ReleaseDetail(GovernanceView):
    def get(self, request: Request, name: str, number: int) -> Response:
        release = releases.release_of(name, number)
        answer = Response(representations.release_json(release))
        answer["ETag"] = f'"{release.fingerprint}"'
        return answer


class CompareReleases(GovernanceView):
    """What `number` has over the release in `?with=`."""

    def get(self, request: Request, name: str, number: int) -> Response:
        other = request.query_params.get("with", "")
        if not other.isdecimal() or len(other) > 9:
            raise InvalidInput("Name the release to compare with: ?with=1.", parameter="with")
        before, after = releases.release_of(name, int(other)), releases.release_of(name, number)
        return Response(asdict(compare_releases(before, after)))


class ExportBundles(GovernanceView):
    """The bundles as a file; `?bundle=` selects, and may come more than once."""

    def get(self, request: Request) -> Response:
        found = export_bundles(request.query_params.getlist("bundle"))
        return Response({"file": format_bundle_file(found)})


class PlanBundles(GovernanceView):
    """What a file would change, and whether registry and file have drifted apart."""

    def post(self, request: Request) -> Response:
        wanted = parse_bundle_file(body_of(request, inputs.BundleFile)["file"])
        return Response(representations.plan_json(plan_bundles(wanted)))


class ApplyBundles(GovernanceView):
    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.BundleFileWithPlan)
        done = apply_bundles(
            actor=actor_of(request),
            wanted=parse_bundle_file(fields["file"]),
            plan=fields["plan"],
            now=timezone.now(),
        )
        return Response(representations.plan_json(done))


def _brief(release: Release) -> dict[str, Any]:
    return {
        "release": release.number,
        "fingerprint": release.fingerprint,
        "created_at": release.created_at,
    }
