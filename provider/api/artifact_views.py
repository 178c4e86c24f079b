"""Artefacts of a node over HTTP: publish one, list them, read a manifest."""

from datetime import UTC
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from provider.api.parameters import checked_query, count
from provider.api.windows import read_window
from provider.artifacts import artifact_of, artifacts_of
from provider.models import Artifact
from provider.node_view import grid_of
from provider.publishing import Order, publish_artifact
from provider.viewpoint import moment_text, read_moment
from registry.api.governing import body_of
from registry.api.inputs import Strict
from registry.api.receipts import AuditedView
from registry.canonical import canonicalize
from registry.models import Consumer, Node
from registry.permissions import MayGovern, MayRead
from registry.request_context import actor_of
from registry.services.nodes import node_for
from registry.services.resolution import readable_node

CREATED = 201
PAGE = 50


class NewArtifact(Strict):
    """`start` and `end` are epoch seconds or RFC 3339, `as_of` is RFC 3339 with its zone."""

    start = serializers.CharField(max_length=40)
    end = serializers.CharField(max_length=40)
    as_of = serializers.CharField(max_length=40, required=False)
    world = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    release = serializers.CharField(max_length=220, required=False, allow_blank=True, default="")
    partial_ok = serializers.BooleanField(required=False, default=False)


class ArtifactView(AuditedView):
    """Consumers see the artefacts of nodes they may read; people of nodes they own or run."""

    permission_classes = (MayGovern,)

    def get_permissions(self) -> list[Any]:
        return [MayRead() if isinstance(self.request.user, Consumer) else MayGovern()]

    def node(self, request: Request, node_id: str) -> Node:
        if isinstance(request.user, Consumer):
            return readable_node(request.user, node_id)
        return node_for(actor=actor_of(request), node_id=node_id)


class Artifacts(ArtifactView):
    """Newest first; `before` continues a list."""

    def get_permissions(self) -> list[Any]:
        return [MayGovern()] if self.request.method == "POST" else super().get_permissions()

    def get(self, request: Request, node_id: str) -> Response:
        node = self.node(request, node_id)
        query = checked_query(request.query_params, {"before", "limit"})
        limit = count(query, "limit", most=500, default=PAGE) or PAGE
        before = count(query, "before", most=2**62, default=None)
        found = artifacts_of(node, before=before, limit=limit)
        more = {"next_before": found[-1].pk} if len(found) == limit else {}
        return Response({"artifacts": [artifact_json(one) for one in found], **more})

    def post(self, request: Request, node_id: str) -> Response:
        fields = body_of(request, NewArtifact)
        actor = actor_of(request)
        grid = grid_of(node_for(actor=actor, node_id=node_id))
        window = read_window(fields["start"], fields["end"], grid)
        order = Order(
            node_id=node_id,
            start=window.start,
            end=window.end,
            as_of=read_moment(fields["as_of"]) if "as_of" in fields else None,
            world=fields["world"],
            release=fields["release"],
            partial_ok=fields["partial_ok"],
        )
        made = publish_artifact(actor=actor, order=order, now=timezone.now())
        return Response(artifact_json(made), status=CREATED)


class ArtifactManifest(ArtifactView):
    """The manifest in the bytes whose SHA-256 is the artefact's address."""

    def get(self, request: Request, node_id: str, digest: str) -> HttpResponse:
        artifact = artifact_of(self.node(request, node_id), digest)
        return HttpResponse(
            canonicalize(artifact.manifest),
            content_type="application/json",
            headers={"ETag": f'"{artifact.address}"', "Cache-Control": "private"},
        )


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    manifest = artifact.manifest
    return {
        "id": artifact.pk,
        "address": artifact.address,
        "node": artifact.node.node_id,
        "range": manifest["range"],
        "as_of": moment_text(artifact.as_of),
        "world": artifact.world,
        "rows": artifact.rows,
        "coverage": manifest["coverage"],
        "schema": manifest["schema"],
        "release": manifest["release"],
        "dataset_fingerprint": artifact.dataset_fingerprint,
        "created_at": artifact.created_at.astimezone(UTC),
        "manifest_uri": artifact.manifest_uri,
    }
