"""How a machine is, as its people's tools ask every few seconds."""

from dataclasses import dataclass

from django.utils import timezone

from clouddev.models import Machine
from clouddev.models.machines import Person
from clouddev.services import at_fly, idle, stalled, wishes
from clouddev.services.access import NoSuchMachine, machine_of_member
from config.core import cache
from config.core.outgoing import Service, ServiceFailed, ServiceTimeout

_HEALTH_SECONDS = 3.0
# In case that whoever asks dies.
_ASKED_FOR_SECONDS = 60.0
_HEARD_FOR_SECONDS = 15.0
_SERVER_ERROR = 500
_STARTING = ("starting", "The machine is starting…")
# Fly's words, and ours for one that has started but whose dev server doesn't answer yet.
_SHOWN = {
    "booting": ("starting", "The machine runs; its dev server is starting…"),
    **dict.fromkeys(("starting", "created", "creating", "restarting", "replacing", "updating"), _STARTING),
    **dict.fromkeys(("stopped", "suspended"), ("stopped", "")),
    at_fly.UNKNOWN: (at_fly.UNKNOWN, "Fly can't be asked about the machine right now."),
}


@dataclass(frozen=True, slots=True)
class Status:
    """One of the contract's words, or Fly's; `url` is None when there is no machine.

    `message` says what happens to it: its step, that it is going to be stopped for want of use, or why it could not be
    started or stopped.
    """

    status: str
    url: str | None = None
    message: str = ""
    error: str = ""


def status_of(*, person: Person, app_name: str) -> Status:
    """The state of the machine of this name that the person may use. One question to Fly, one to the machine.

    One more where Fly tells of others and not of this one.
    """
    try:
        return status_of_machine(machine_of_member(person=person, app_name=app_name))
    except NoSuchMachine:
        return Status("not_found")


def status_of_machine(machine: Machine) -> Status:
    """The same, of a machine that was looked up. Who waits to see it made is told where no worker is."""
    stalled.end_if_stalled(machine=machine, now=timezone.now())
    if machine.state in at_fly.OWN_WORDS:
        return Status(at_fly.OWN_WORDS[machine.state], machine.url, message=machine.step, error=machine.error)
    heard = at_fly.words_for([at_fly.row_of(machine)])[machine.fly_app_id]
    if heard == at_fly.LOST:
        return Status(heard, machine.url, error=at_fly.LOST_SENTENCE)
    status, message = _shown(machine, heard)
    notice = idle.notices_for([machine]).get(machine.pk)
    sentences = [wishes.complaint(machine, heard), message, notice.sentence if notice else ""]
    return Status(status, machine.url, message=" ".join(filter(None, sentences)))


def _shown(machine: Machine, word: str) -> tuple[str, str]:
    """The status and its sentence; the machine itself is asked only where Fly says that it runs."""
    if going := wishes.under_way(machine, word):
        return going, f"The machine is {going}…"
    if word == "started":
        word = "running" if is_healthy(machine) else "booting"
    return _SHOWN.get(word, (word, ""))


def is_healthy(machine: Machine) -> bool:
    """Whether the dev server answers below 500, within three seconds. The host is ours by its pattern; no redirects.

    A machine is its people's to do with as they like, and one that never answers keeps a thread of ours waiting:
    so it is asked by one at a time, and others get what was heard last.
    """
    asking, heard = f"clouddev:asking:{machine.fly_app_id}", f"clouddev:heard:{machine.fly_app_id}"
    if not cache.add(asking, True, seconds=_ASKED_FOR_SECONDS):
        return bool(cache.read([heard]).get(heard))
    try:
        healthy = _answers(machine)
        cache.write(heard, healthy, seconds=_HEARD_FOR_SECONDS)
    finally:
        cache.drop(asking)
    return healthy


def _answers(machine: Machine) -> bool:
    service = Service(name="The machine", base_url=machine.url, headers={}, budget=_HEALTH_SECONDS, longest_body=0)
    try:
        return service.call("GET", "/dev/__health", repeatable=False).status < _SERVER_ERROR
    except (ServiceFailed, ServiceTimeout):
        return False
