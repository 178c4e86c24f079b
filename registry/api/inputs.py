"""What the write endpoints accept."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from registry.audit.events import OUTCOMES
from registry.models import Mode, ProposalState


class Strict(serializers.Serializer):
    """Refuses what it does not know: a filter that is mistyped must not select everything."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["Unknown parameter."] for name in unknown})
        return super().to_internal_value(data)


class Listing(Strict):
    """What every listing in pages takes; `registry.api.pages` reads these two."""

    limit = serializers.CharField(required=False)
    cursor = serializers.CharField(required=False, max_length=4_000)


class SubjectListing(Listing):
    team = serializers.CharField(required=False)


class ProposalListing(Listing):
    subject = serializers.CharField(required=False)
    state = serializers.ChoiceField(ProposalState.values, required=False)
    author = serializers.CharField(required=False)


class BundleListing(Listing):
    team = serializers.CharField(required=False)
    subject = serializers.CharField(required=False)


class ConsumerListing(Listing):
    team = serializers.CharField(required=False)
    bundle = serializers.CharField(required=False)
    active = serializers.BooleanField(required=False)


class RolloutListing(Listing):
    """`ended`: those that have ended too."""

    consumer = serializers.CharField(required=False)
    bundle = serializers.CharField(required=False)
    subject = serializers.CharField(required=False)
    mode = serializers.ChoiceField(Mode.values, required=False)
    ended = serializers.BooleanField(required=False)


class IncidentListing(Listing):
    """`closed`: those that are closed too."""

    consumer = serializers.CharField(required=False)
    bundle = serializers.CharField(required=False)
    closed = serializers.BooleanField(required=False)


class AuditFilter(Strict):
    """See `registry.audit.selection.Selection`."""

    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    actor = serializers.CharField(required=False, max_length=255)
    action = serializers.CharField(required=False, max_length=255)
    object = serializers.CharField(required=False, max_length=511)
    outcome = serializers.ChoiceField(OUTCOMES, required=False)
    consumer = serializers.CharField(required=False, max_length=255)
    request_id = serializers.CharField(required=False, max_length=255)
    correlation_id = serializers.CharField(required=False, max_length=255)


class AuditSearch(AuditFilter):
    limit = serializers.IntegerField(required=False, min_value=1, max_value=500, default=100)


class AuditPage(Strict):
    """The next page of a search, which carries its filter."""

    cursor = serializers.CharField(max_length=4_000)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=500, default=100)


class CheckpointPage(Strict):
    before = serializers.IntegerField(required=False, min_value=1)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=500, default=100)


class TreeSize(Strict):
    size = serializers.IntegerField(required=False, min_value=1)


class InclusionQuestion(Strict):
    event = serializers.IntegerField(min_value=1)
    size = serializers.IntegerField(required=False, min_value=1)


class ConsistencyQuestion(Strict):
    """`from` is a word of Python, so it is read from the data by name."""

    to = serializers.IntegerField(min_value=0)

    def get_fields(self) -> dict[str, Any]:
        return {**super().get_fields(), "from": serializers.IntegerField(min_value=0)}


class StreamedExport(AuditFilter):
    format = serializers.CharField(max_length=16, default="jsonl")
    from_seq = serializers.IntegerField(required=False, min_value=0, default=0)
    to_size = serializers.IntegerField(required=False, min_value=0)
    earlier = serializers.RegexField(r"^\d{1,18}(,\d{1,18}){0,99}$", required=False)


class NewExport(Strict):
    format = serializers.CharField(max_length=16, default="jsonl")
    filter = AuditFilter(required=False)
    from_seq = serializers.IntegerField(required=False, min_value=0, default=0)
    to_size = serializers.IntegerField(required=False, min_value=0)
    earlier = serializers.ListField(
        child=serializers.IntegerField(min_value=0), required=False, max_length=100
    )


class NewExportLink(Strict):
    hours = serializers.IntegerField(required=False, min_value=1, max_value=168, default=24)


class SubjectSettings(serializers.Serializer):
    """What is settable of a subject; `approval_teams` is {team: approvals}."""

    description = serializers.CharField(required=False, allow_blank=True)
    compatibility = serializers.CharField(required=False)
    required_approvals = serializers.IntegerField(required=False)
    approval_teams = serializers.DictField(required=False, child=serializers.IntegerField())
    replay = serializers.CharField(required=False)
    tags = serializers.ListField(required=False, child=serializers.CharField())
    contact = serializers.CharField(required=False, allow_blank=True)


class NewSubject(SubjectSettings):
    name = serializers.CharField(max_length=200)
    owner_team = serializers.CharField()
    reason = serializers.CharField(required=False, allow_blank=True)


class SubjectChange(SubjectSettings):
    owner_team = serializers.CharField(required=False)
    reason = serializers.CharField()


class NewProposal(serializers.Serializer):
    """`schema` is a JSON document, or its text as a string. Also what an edit takes."""

    schema = serializers.JSONField()
    reason = serializers.CharField(required=False, allow_blank=True)


class Comment(serializers.Serializer):
    comment = serializers.CharField(required=False, allow_blank=True, default="")


class Review(serializers.Serializer):
    comment = serializers.CharField(required=False, allow_blank=True, default="")
    team = serializers.CharField(required=False, allow_blank=True, default="")


class JointReview(Review):
    proposals = serializers.ListField(child=serializers.IntegerField(), allow_empty=False)


class Rejection(serializers.Serializer):
    reason = serializers.CharField()
    team = serializers.CharField(required=False, allow_blank=True, default="")


class OptionalReason(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_blank=True, default="")


class Deprecation(serializers.Serializer):
    sunset_at = serializers.DateTimeField()
    reason = serializers.CharField()


class NewWaiver(serializers.Serializer):
    rule = serializers.CharField()
    reason = serializers.CharField()
    expires_at = serializers.DateTimeField()


class NewReplay(serializers.Serializer):
    """`wait`: run it in this request for so many seconds; else workers do."""

    days = serializers.IntegerField(required=False)
    wait = serializers.IntegerField(min_value=0, max_value=30, default=0)


class Reason(serializers.Serializer):
    reason = serializers.CharField()


class NewBundle(serializers.Serializer):
    name = serializers.CharField(max_length=200)
    owner_team = serializers.CharField()
    subjects = serializers.ListField(child=serializers.CharField(), allow_empty=False)
    gate_policy = serializers.CharField()
    description = serializers.CharField(required=False, allow_blank=True)


class NewConsumer(serializers.Serializer):
    name = serializers.CharField(max_length=200)
    owner_team = serializers.CharField()
    description = serializers.CharField(required=False, allow_blank=True)


class NewToken(serializers.Serializer):
    scopes = serializers.ListField(child=serializers.CharField(), allow_empty=False)
    days = serializers.IntegerField(min_value=1, max_value=366, default=90)
    label = serializers.CharField(required=False, allow_blank=True, default="")  # type: ignore[assignment]


class NewSubscription(serializers.Serializer):
    bundle = serializers.CharField()


class NewGrant(serializers.Serializer):
    node = serializers.CharField()


class NewNode(serializers.Serializer):
    node_id = serializers.CharField(max_length=300)
    subject = serializers.CharField()
    interval = serializers.IntegerField(min_value=1)
    anchor = serializers.IntegerField(required=False)
    calendar = serializers.CharField(required=False, allow_blank=True)
    series = serializers.ListField(child=serializers.DictField(), allow_empty=False, required=False)
    store = serializers.DictField()
    source = serializers.DictField(required=False, default=dict)  # type: ignore[assignment]
    live = serializers.DictField(required=False)
    sla = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)


class NodeChange(Strict):
    """What is left out stays as it is."""

    description = serializers.CharField(required=False, allow_blank=True)
    calendar = serializers.CharField(required=False, allow_blank=True)
    series = serializers.ListField(child=serializers.DictField(), allow_empty=False, required=False)
    source = serializers.DictField(required=False)  # type: ignore[assignment]
    sla = serializers.CharField(required=False, allow_blank=True)


class NewSLAPolicy(serializers.Serializer):
    name = serializers.CharField(max_length=50)
    document = serializers.DictField()


class Nothing(serializers.Serializer):
    """A decision that needs no words."""


class BundleChange(serializers.Serializer):
    add = serializers.ListField(child=serializers.CharField(), required=False)
    remove = serializers.ListField(child=serializers.CharField(), required=False)
    gate_policy = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)


class BundleFile(serializers.Serializer):
    """`file` is the YAML text; `again` offers what was rolled back."""

    file = serializers.CharField(trim_whitespace=False)
    again = serializers.BooleanField(default=False)


class BundleFileWithPlan(BundleFile):
    plan = serializers.CharField()


class Switch(Reason):
    active = serializers.BooleanField()


class EndedGrant(Reason):
    node = serializers.CharField()


class Ramp(serializers.Serializer):
    percent = serializers.IntegerField()


class NewOverride(Reason):
    hours = serializers.IntegerField(min_value=1, max_value=168)


class NewIncident(Reason):
    consumer = serializers.CharField()
    bundle = serializers.CharField()


class NewGatePolicy(serializers.Serializer):
    """`observation` is in seconds; rates and shares are decimal texts from 0 to 1."""

    name = serializers.CharField(max_length=50)
    description = serializers.CharField(required=False, allow_blank=True)
    observation = serializers.IntegerField(required=False, min_value=0, max_value=31_536_000)
    minimum_reads = serializers.IntegerField(required=False)
    minimum_rows = serializers.IntegerField(required=False)
    maximum_violation_rate = serializers.CharField(required=False)
    maximum_unchecked_share = serializers.CharField(required=False)
    minimum_node_coverage = serializers.CharField(required=False)
    required_approvals = serializers.IntegerField(required=False)
    promotes_itself = serializers.BooleanField(required=False)
