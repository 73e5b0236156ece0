"""The cloud dev API, about workspaces: make, list, watch, start, stop and destroy them."""

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from accounts.current_user import caller_of
from clouddev.api import schemas
from clouddev.api.schemas import APP_NAME, TAG, app_name_of
from clouddev.services import creation, destruction, idle_policy, power, queries, retry, status
from clouddev.services.access import machine_of_member, machine_of_owner, own_machine
from clouddev.services.join import if_decided_by
from core.api import Endpoint, json_body, query, success
from core.needs import Needs
from core.openapi import documented
from core.schemas import validated
from fly import env_vars


class CreateView(Endpoint):
    """POST /api/cloud-dev/create."""

    required_action = "workspaces.create"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Create a workspace",
        data=schemas.CreatedMachine,
        tag=TAG,
        request=schemas.CreateMachine,
        errors=[409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Begin to make a workspace, unless the caller has one of this name, and tell its address and key at once.

        Where somebody else's of this name is shared with the caller, that one is told, unless `own` is true.
        """
        asked = validated(schemas.CreateMachine, json_body(request))
        created = creation.create(
            caller=caller_of(request),
            app_name=asked.app_name,
            environment=env_vars.read(asked.env_vars),
            region=request.META.get("HTTP_FLY_REGION", ""),
            now=timezone.now(),
            own=asked.own,
        )
        machine = created.machine
        answer = schemas.CreatedMachine(
            appUrl=machine.url, flyAppName=machine.fly_app_id, sshPrivateKey=created.private_key
        )
        sent = asked.env_vars
        sentences = (created.message, env_vars.odd_names(sent), env_vars.names_of_the_start(sent))
        if message := " ".join(filter(None, sentences)):
            answer["message"] = message
        return success(answer)


class TryAgainView(Endpoint):
    """POST /api/cloud-dev/try-again."""

    required_action = "workspaces.try-again"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Try again to create a workspace",
        data=schemas.TriedAgain,
        tag=TAG,
        request=schemas.MachineName,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a workspace again that has failed, with the variables it was created with; for its owners.

        They are kept for an hour after the failure. The workspace has another address and another key then.
        """
        caller = caller_of(request)
        asked = validated(schemas.MachineName, json_body(request))
        machine = machine_of_owner(person=caller, app_name=asked.app_name, action="workspaces.try-again")
        begun = retry.try_again(machine=machine, actor=caller, now=timezone.now())
        return success(
            schemas.TriedAgain(status="creating", begun=begun, appUrl=machine.url, flyAppName=machine.fly_app_id)
        )


class ListView(Endpoint):
    """GET /api/cloud-dev/list."""

    required_action = "workspaces.view"

    needs = {"GET": Needs("workspaces:read")}

    @documented(summary="List workspaces", data=list[schemas.ListedMachine], tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Tell the workspaces that the caller may use, newest first."""
        return success([_listed(listed) for listed in queries.list_rows(person=caller_of(request))])


class StatusView(Endpoint):
    """GET /api/cloud-dev/status."""

    required_action = "workspaces.view"

    needs = {"GET": Needs("workspaces:read")}

    @documented(
        summary="Tell the status of a workspace",
        data=schemas.MachineStatus,
        tag=TAG,
        parameters=[APP_NAME],
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell how a workspace is; one that isn't there, or that the caller may not use, is `not_found`."""
        found = status.status_of(person=caller_of(request), app_name=app_name_of(query(request)))
        answer = schemas.MachineStatus(status=found.status, url=found.url)
        if found.message:
            answer["message"] = found.message
        if found.error:
            answer["error"] = found.error
        return success(answer)


class StartView(Endpoint):
    """POST /api/cloud-dev/start."""

    required_action = "workspaces.start"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Start a workspace",
        data=schemas.StartedMachine,
        tag=TAG,
        request=schemas.MachineName,
        errors=[404, 409, 502],
    )
    def post(self, request: Request) -> HttpResponse:
        """Start a workspace that is stopped: at once, or as soon as Fly can, which is within a minute or so.

        Should Fly not be able to, `status` says why.
        """
        caller = caller_of(request)
        asked = validated(schemas.MachineName, json_body(request))
        machine = machine_of_member(person=caller, app_name=asked.app_name, action="workspaces.start")
        count = power.start(machine=machine, actor=caller, now=timezone.now())
        return success(schemas.StartedMachine(status="starting", started=count))


class StopView(Endpoint):
    """POST /api/cloud-dev/stop."""

    required_action = "workspaces.stop"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Stop a workspace",
        data=schemas.StoppedMachine,
        tag=TAG,
        request=schemas.MachineName,
        errors=[404, 409, 502],
    )
    def post(self, request: Request) -> HttpResponse:
        """Stop a workspace that runs, at once or as soon as Fly can; its volume stays as it is.

        Should Fly not be able to, `status` says why.
        """
        caller = caller_of(request)
        asked = validated(schemas.MachineName, json_body(request))
        machine = machine_of_member(person=caller, app_name=asked.app_name, action="workspaces.stop")
        power.stop(machine=machine, actor=caller, now=timezone.now())
        return success(schemas.StoppedMachine(status="stopped"))


class DestroyView(Endpoint):
    """POST /api/cloud-dev/destroy."""

    required_action = "workspaces.destroy"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Destroy a workspace",
        data=schemas.DestroyedMachine,
        tag=TAG,
        request=schemas.MachineName,
        errors=[404],
    )
    def post(self, request: Request) -> HttpResponse:
        """Remove a workspace with its volume and its database; for its owner.

        By its name, only the caller's very own workspace is destroyed, so that asking twice meets no other of this
        name. Who is an owner of somebody else's by role destroys it on the workspace's page.
        """
        caller = caller_of(request)
        asked = validated(schemas.MachineName, json_body(request))
        machine = own_machine(person=caller, app_name=asked.app_name, action="workspaces.destroy", even_suspended=True)
        destruction.destroy(machine=machine, actor=caller, claim=if_decided_by(caller))
        return success(schemas.DestroyedMachine(status="destroyed"))


class KeepAliveView(Endpoint):
    """POST /api/cloud-dev/keep-alive."""

    required_action = "workspaces.keep-alive"

    needs = {"POST": Needs("workspaces:write")}

    @documented(
        summary="Keep a workspace alive",
        data=schemas.KeptAlive,
        tag=TAG,
        request=schemas.KeepAlive,
        errors=[404, 409],
    )
    def post(self, request: Request) -> HttpResponse:
        """Keep an unused workspace from being stopped or deleted, for up to 30 days; for its owners."""
        caller = caller_of(request)
        asked = validated(schemas.KeepAlive, json_body(request))
        machine = machine_of_owner(person=caller, app_name=asked.app_name, action="workspaces.keep-alive")
        idle_policy.keep_alive(machine=machine, until=asked.until, actor=caller, now=timezone.now())
        return success(schemas.KeptAlive(keepAliveUntil=asked.until))


def _listed(row: queries.Row) -> schemas.ListedMachine:
    return {
        "app_name": row.app_name,
        "fly_app_name": row.fly_app_name,
        "app_url": row.url,
        "role": row.role,
        "linux_user": row.linux_user,
        "fly_state": row.fly_state,
        "notice": row.notice,
    }
