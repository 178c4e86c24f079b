"""What the write endpoints accept."""

from rest_framework import serializers


class NewSubject(serializers.Serializer):
    name = serializers.CharField(max_length=200)
    owner_team = serializers.CharField()
    description = serializers.CharField(required=False, allow_blank=True)
    compatibility = serializers.CharField(required=False)
    required_approvals = serializers.IntegerField(required=False)


class NewProposal(serializers.Serializer):
    """`schema` is a JSON document, or its text as a string."""

    schema = serializers.JSONField()
    reason = serializers.CharField(required=False, allow_blank=True)


class Comment(serializers.Serializer):
    comment = serializers.CharField(required=False, allow_blank=True, default="")


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
    series = serializers.ListField(child=serializers.DictField(), allow_empty=False)
    store = serializers.DictField()
    source = serializers.DictField()  # type: ignore[assignment]
    sla = serializers.CharField(required=False, allow_blank=True)
    description = serializers.CharField(required=False, allow_blank=True)
