"""Shapes of the cloud dev API's requests and answers."""

from typing import Any

from rest_framework import serializers

from clouddev.machine_tokens import LIFETIMES
from clouddev.models import Member, Offer
from core.api import TextField
from fly.serializers import AppNameField

_LONGEST_LOGIN = 100


class MachineNameSerializer(serializers.Serializer[Any]):
    """Which workspace, by the name that its owner gave it."""

    appName = AppNameField()  # noqa: N815 - the contract's name


class CreateMachineSerializer(MachineNameSerializer):
    """The workspace that is wanted."""

    own = serializers.BooleanField(
        default=False,
        help_text="Make one of the caller's own where somebody else's of this name is shared with them.",
    )

    envVars = serializers.DictField(  # noqa: N815 - the contract's name
        child=TextField(allow_blank=True, trim_whitespace=False),
        required=False,
        allow_null=True,
        help_text=(
            "Environment variables, which become secrets of the workspace. The server's own win: APP_NAME, DEV_USER, "
            "SSH_PUBLIC_KEY, CRAYON_SERVER_URL, DEV_UI_JWT_PUBLIC_KEY, and without a DATABASE_URL also DATABASE_URL "
            "and DATABASE_SCHEMA. PORT and what Fly sets by itself, such as FLY_REGION, are left out."
        ),
    )


class CreatedMachineSerializer(serializers.Serializer[Any]):
    """A workspace that is being made; the key and the address are its own from the beginning."""

    appUrl = serializers.CharField()  # noqa: N815 - the contract's name
    flyAppName = serializers.CharField()  # noqa: N815 - the contract's name
    sshPrivateKey = serializers.CharField(help_text="In OpenSSH's own format.")  # noqa: N815 - the contract's name
    message = serializers.CharField(
        required=False, help_text="That it is shared by somebody else; what of the environment was left out."
    )


class TriedAgainSerializer(serializers.Serializer[Any]):
    """The workspace is being made, or is there already; its key is told by `ssh-key`."""

    status = serializers.ChoiceField(["creating"])
    begun = serializers.BooleanField(help_text="False when it is being made already, or is there.")
    appUrl = serializers.CharField()  # noqa: N815 - the contract's name
    flyAppName = serializers.CharField()  # noqa: N815 - the contract's name


class ListedMachineSerializer(serializers.Serializer[Any]):
    """A workspace that the caller may use."""

    app_name = serializers.CharField()
    fly_app_name = serializers.CharField()
    app_url = serializers.CharField()
    role = serializers.ChoiceField(Member.Role.values)
    linux_user = serializers.CharField(
        help_text="The caller's own name in tokens. By SSH all members come in as the one user that `ssh-key` tells."
    )
    fly_state = serializers.CharField(
        help_text="Fly's own word, `unknown` when it can't be asked; before and after Fly has the workspace "
        "`creating`, `error` or `destroying`, and `error` when Fly has lost it. It is some seconds old at most; "
        "while Fly can't be asked, up to about 75 seconds."
    )
    notice = serializers.CharField(
        allow_null=True,
        help_text="That the workspace is going to be stopped, or deleted with its data, for want of use, and when; a "
        "sentence for its people. Null where nothing is going to happen.",
    )


class MachineStatusSerializer(serializers.Serializer[Any]):
    """How a workspace is; `message` and `error` are left out where there is nothing to say."""

    status = serializers.CharField(
        help_text="`not_found`, `creating`, `starting`, `running`, `stopping`, `stopped`, `error`, `destroying`, "
        "`unknown`, or a word of Fly's."
    )
    url = serializers.CharField(allow_null=True)
    message = serializers.CharField(
        required=False,
        help_text="What happens to it, for its people: the current step, why it could not be started or stopped, and "
        "that it is going to be stopped, or deleted with its data, for want of use, and when.",
    )
    error = serializers.CharField(required=False, help_text="Why it could not be made, or that Fly has lost it.")


class StartedMachineSerializer(serializers.Serializer[Any]):
    """The workspace starts, is going to as soon as Fly can, or runs already."""

    status = serializers.ChoiceField(["starting"])
    started = serializers.IntegerField(help_text="How many workspaces start; 0 when it runs already.")


class StoppedMachineSerializer(serializers.Serializer[Any]):
    """The workspace stops, is going to as soon as Fly can, or has stopped already."""

    status = serializers.ChoiceField(["stopped"])


class DestroyedMachineSerializer(serializers.Serializer[Any]):
    """The workspace, its volume and its database are removed in the background, whatever happens."""

    status = serializers.ChoiceField(["destroyed"])


class SSHAccessSerializer(serializers.Serializer[Any]):
    """How to get in by SSH."""

    privateKey = serializers.CharField(help_text="In OpenSSH's own format.")  # noqa: N815 - the contract's name
    linuxUser = serializers.CharField(  # noqa: N815 - the contract's name
        help_text="The one user there is on the workspace, the same for all members: whoever made it."
    )
    host = serializers.CharField()
    port = serializers.IntegerField()


class TokenSerializer(serializers.Serializer[Any]):
    """A dev-UI token."""

    token = serializers.CharField(help_text="A JWT that the workspace verifies by itself; valid for 24 hours.")


class AskWebhookTokenSerializer(MachineNameSerializer):
    """For which workspace a token is wanted, and for how long."""

    expiresIn = serializers.ChoiceField(list(LIFETIMES), required=False)  # noqa: N815 - the contract's name


class WebhookTokenSerializer(serializers.Serializer[Any]):
    """A token for whoever calls the workspace's webhooks."""

    token = serializers.CharField()
    expiresAt = serializers.DateTimeField()  # noqa: N815 - the contract's name


class RevokedTokensSerializer(serializers.Serializer[Any]):
    """The tokens of a workspace that were revoked and haven't expired."""

    jtis = serializers.ListField(child=serializers.UUIDField(), help_text="The tokens' claims `jti`.")


class PersonOfMachineSerializer(MachineNameSerializer):
    """A workspace and a person."""

    login = TextField(max_length=_LONGEST_LOGIN, help_text="A GitHub login.")


class AddMemberSerializer(PersonOfMachineSerializer):
    """Who shall use a workspace, and as what."""

    role = serializers.ChoiceField(Member.Role.values, required=False)


class MemberSerializer(serializers.Serializer[Any]):
    """Somebody who may use a workspace."""

    login = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(Member.Role.values)
    linuxUser = serializers.CharField(  # noqa: N815 - the contract's name
        help_text="The member's own name in tokens. By SSH all members come in as the one user that `ssh-key` tells."
    )
    addedAt = serializers.DateTimeField()  # noqa: N815 - as everywhere


class WaitingSerializer(serializers.Serializer[Any]):
    """That somebody has to accept first. All of it is left out where nobody has to."""

    message = serializers.CharField(required=False, help_text="Who has to accept, where and until when.")
    offerId = serializers.UUIDField(required=False)  # noqa: N815 - as everywhere
    expiresAt = serializers.DateTimeField(required=False)  # noqa: N815 - as everywhere


class AddedMemberSerializer(MemberSerializer, WaitingSerializer):
    """A member whose role is this now; or, where `status` is there, somebody who is none before they accept.

    Then `addedAt` is when it was offered, and `name` and `linuxUser` are empty.
    """

    status = serializers.ChoiceField(["waiting"], required=False)


class OfferSerializer(serializers.Serializer[Any]):
    """A workspace that somebody is to use, or to own, as soon as they accept."""

    id = serializers.UUIDField()
    appName = serializers.CharField()  # noqa: N815 - the contract's name
    kind = serializers.ChoiceField(
        Offer.Kind.values, help_text="`member`: to use it with others. `transfer`: it is to be theirs."
    )
    role = serializers.ChoiceField(Member.Role.values, help_text="What the recipient is then.")
    offeredBy = serializers.CharField(help_text="A login.")  # noqa: N815 - as everywhere
    offeredTo = serializers.CharField(help_text="A login.")  # noqa: N815 - as everywhere
    offeredAt = serializers.DateTimeField()  # noqa: N815 - as everywhere
    expiresAt = serializers.DateTimeField()  # noqa: N815 - as everywhere


class AcceptedOfferSerializer(serializers.Serializer[Any]):
    """The caller may use the workspace from now on, or it is theirs."""

    status = serializers.ChoiceField(["accepted"])
    appName = serializers.CharField()  # noqa: N815 - the contract's name
    role = serializers.ChoiceField(Member.Role.values)


class DeclinedOfferSerializer(serializers.Serializer[Any]):
    """Nothing has changed, and the offer is over."""

    status = serializers.ChoiceField(["declined"])


class WithdrawnOfferSerializer(serializers.Serializer[Any]):
    """Nothing has changed, and the offer is over."""

    status = serializers.ChoiceField(["withdrawn"])


class RemovedMemberSerializer(serializers.Serializer[Any]):
    """The person gets no more tokens, or can't accept any more; `message` says what they may still hold."""

    status = serializers.ChoiceField(["removed"])
    message = serializers.CharField()


class TransferredSerializer(WaitingSerializer):
    """The workspace waits for somebody else to accept it; `transferred` where it is theirs already."""

    status = serializers.ChoiceField(["waiting", "transferred"])


class KeepAliveSerializer(MachineNameSerializer):
    """Until when a workspace is to be left alone though nobody uses it; null for no longer."""

    until = serializers.DateTimeField(allow_null=True)


class KeptAliveSerializer(serializers.Serializer[Any]):
    """Until when the unused workspace is kept from being stopped or deleted."""

    keepAliveUntil = serializers.DateTimeField(allow_null=True)  # noqa: N815 - as everywhere
