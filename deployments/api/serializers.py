"""Shapes of the deployments API's requests and answers."""

from typing import Any

from rest_framework import serializers

from core.api import TextField
from deployments.models import Build
from fly.serializers import AppNameField


class AppSerializer(serializers.Serializer[Any]):
    """Which app."""

    appName = AppNameField()  # noqa: N815 - the contract's name


class CommitField(TextField):
    """The name of a commit, or any short word for what is pushed."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, allow_blank=True, required=False, **options)

    def to_internal_value(self, data: object) -> str:
        """The text, when all of it can be seen."""
        commit = super().to_internal_value(data)
        if not commit.isprintable():
            raise serializers.ValidationError("Control characters are not allowed.")
        return commit


class PushSerializer(AppSerializer):
    """What is pushed, as JSON."""

    archive = TextField(
        allow_blank=True,
        trim_whitespace=False,
        help_text="A tar archive compressed with gzip, as base64 (RFC 4648, section 4), a Dockerfile at its top.",
    )
    envVars = serializers.DictField(  # noqa: N815 - the contract's name
        child=TextField(allow_blank=True, trim_whitespace=False),
        required=False,
        allow_null=True,
        help_text="Environment variables. They become secrets of the app; secrets that aren't named stay as they are. "
        "Those that the build itself needs, with names that begin as a browser's bundle has them (such as `VITE_`), "
        "are kept for this build alone: send them with every push. CRAYON_SERVER_URL is this server's address unless "
        "it was sent once.",
    )
    commitHash = CommitField(allow_null=True)  # noqa: N815 - the contract's name


class RawPushSerializer(AppSerializer):
    """The query of a push whose body is the archive itself."""

    commitHash = CommitField()  # noqa: N815 - the contract's name


class PushedSerializer(serializers.Serializer[Any]):
    """What was pushed waits to be built."""

    status = serializers.ChoiceField(["deploying"])
    buildId = serializers.CharField()  # noqa: N815 - the contract's name
    message = serializers.CharField(required=False, help_text="What of the environment was left out, and why.")


class PreparedSerializer(serializers.Serializer[Any]):
    """Where the app answers once something was pushed to it."""

    appUrl = serializers.CharField()  # noqa: N815 - the contract's name


class AppStatusSerializer(serializers.Serializer[Any]):
    """How an app is. `message` is the current step, `error` why its latest build failed; each is left out else."""

    status = serializers.ChoiceField(
        ["not_found", "idle", "queued", "building", "build_error", "starting", "running"],
    )
    url = serializers.CharField(allow_null=True)
    commit = serializers.CharField(allow_null=True)
    message = serializers.CharField(required=False)
    error = serializers.CharField(required=False)


class LogsSerializer(serializers.Serializer[Any]):
    """An app's logs; null where there is nothing to have one, or Fly can't be asked."""

    buildLog = serializers.CharField(  # noqa: N815 - the contract's name
        allow_null=True,
        allow_blank=True,
        help_text="At most 100,000 characters: the log's end, or with `offset` what follows there.",
    )
    serviceLogs = serializers.CharField(allow_null=True, allow_blank=True)  # noqa: N815 - the contract's name
    buildId = serializers.CharField(allow_null=True, help_text="The build that `buildLog` is of.")  # noqa: N815
    nextOffset = serializers.IntegerField(help_text="The `offset` to go on with.")  # noqa: N815
    logLength = serializers.IntegerField(help_text="Characters of the build's log so far.")  # noqa: N815


class CanceledSerializer(serializers.Serializer[Any]):
    """What waits is over; what runs stops within seconds."""

    status = serializers.ChoiceField(["canceled"])


class BuildSerializer(serializers.Serializer[Any]):
    """A build."""

    id = serializers.CharField()
    status = serializers.ChoiceField(Build.State.values)
    commit = serializers.CharField(allow_null=True)
    startedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815 - the contract's name
    finishedAt = serializers.DateTimeField(allow_null=True)  # noqa: N815 - the contract's name
    error = serializers.CharField(allow_null=True)
