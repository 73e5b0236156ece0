"""Finding a person's app or build: looked up with its owner, so that one that is absent and a stranger's look alike."""

import uuid

from django.db.models import QuerySet

from accounts.models.users import Person
from accounts.policies import Acting, Resource, decide
from core.errors import NotFound
from deployments.models import Build, Deployment
from fly.models import called


class NoSuchApp(NotFound):
    """404: the person has no app of that name, or it is being destroyed."""

    default = "You have no app of this name. Prepare it first."


class NoSuchBuild(NotFound):
    """404: the person's app has no such build."""

    default = "There is no such build."


def deployment(app: Deployment, *, is_suspended: bool = False) -> Resource:
    """The app as policies know it."""
    return Resource(
        type="Deployment",
        id=app.pk,
        organization_id=app.organization_id,
        maker_id=app.owner_id,
        is_suspended=is_suspended,
    )


def own_app(*, person: Acting, app_name: str, action: str) -> Deployment:
    """The person's app, if they may do this to it. Raises NoSuchApp."""
    found = _own_apps(person).filter(called(app_name)).first()
    if found is None or not decide(person, action, deployment(found)).allowed:
        raise NoSuchApp
    return found


def require_an_app(*, person: Person) -> None:
    """Return if the person has any app. Raises NoSuchApp."""
    if not _own_apps(person).exists():
        raise NoSuchApp


def own_app_by_id(*, person: Acting, deployment_id: uuid.UUID, action: str) -> Deployment:
    """The person's app, be it on its way out, if they may do this to it. Raises NoSuchApp."""
    found = Deployment.objects.usable_by(person).filter(pk=deployment_id).first()
    if found is None or not decide(person, action, deployment(found)).allowed:
        raise NoSuchApp("There is no such app.")
    return found


def own_build(*, person: Acting, deployment_id: uuid.UUID, build_id: uuid.UUID, action: str) -> Build:
    """A build of the person's app, with its app and who pushed it. Raises NoSuchBuild."""
    builds = Build.objects.usable_by(person).select_related("deployment", "pushed_by")
    found = builds.filter(pk=build_id, deployment=deployment_id).first()
    if found is None or not decide(person, action, deployment(found.deployment)).allowed:
        raise NoSuchBuild
    return found


def owners_of(deployment_id: uuid.UUID) -> set[uuid.UUID]:
    """Give the id of the app's owner, whom an action on the app or a build of it concerns; none without such an app."""
    return set(Deployment.objects.filter(pk=deployment_id).values_list("owner_id", flat=True))


def _own_apps(person: Person) -> QuerySet[Deployment]:
    return Deployment.objects.usable_by(person).exclude(state=Deployment.State.DESTROYING)
