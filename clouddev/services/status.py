"""How a machine is, as its people's tools ask every few seconds."""

from dataclasses import dataclass

from django.utils import timezone

from accounts.policies import Acting
from clouddev.models import Machine
from clouddev.services import desired_state, fly_states, idle_policy, queue
from clouddev.services.access import NoSuchMachine, machine_of_member
from core import cache
from core.http_client import Service, ServiceFailed, ServiceTimeout

_HEALTH_SECONDS = 3.0
# In case that whoever asks dies.
_ASKED_FOR_SECONDS = 60.0
_HEARD_FOR_SECONDS = 15.0
_SERVER_ERROR = 500
_STARTING = ("starting", "The workspace is starting…")
# Fly's words, and ours for one that has started but whose dev server doesn't answer yet.
_SHOWN = {
    "booting": ("starting", "The workspace runs; its dev server is starting…"),
    **dict.fromkeys(("starting", "created", "creating", "restarting", "replacing", "updating"), _STARTING),
    **dict.fromkeys(("stopped", "suspended"), ("stopped", "")),
    fly_states.UNKNOWN: (fly_states.UNKNOWN, "Fly can't be asked about the workspace right now."),
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


def status_of(*, person: Acting, app_name: str) -> Status:
    """The state of the machine of this name that the person may use. One question to Fly, one to the machine.

    One more where Fly tells of others and not of this one.
    """
    try:
        return status_of_machine(machine_of_member(person=person, app_name=app_name, action="workspaces.view"))
    except NoSuchMachine:
        return Status("not_found")


def status_of_machine(machine: Machine) -> Status:
    """Give the same for a machine whose row the caller has. One that waits where no worker runs ends here."""
    queue.end_if_stalled(machine=machine, now=timezone.now())
    if machine.state in fly_states.OWN_WORDS:
        return Status(fly_states.OWN_WORDS[machine.state], machine.url, message=machine.step, error=machine.error)
    heard = fly_states.words_for([fly_states.row_of(machine)])[machine.fly_app_id]
    if heard == fly_states.LOST:
        return Status(heard, machine.url, error=fly_states.LOST_SENTENCE)
    status, message = _shown(machine, heard)
    notice = idle_policy.notices_for([machine]).get(machine.pk)
    sentences = [desired_state.complaint(machine, heard), message, notice.sentence if notice else ""]
    return Status(status, machine.url, message=" ".join(filter(None, sentences)))


def _shown(machine: Machine, word: str) -> tuple[str, str]:
    """The status and its sentence; the machine itself is asked only where Fly says that it runs."""
    if going := desired_state.under_way(machine, word):
        return going, f"The workspace is {going}…"
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
    service = Service(name="The workspace", base_url=machine.url, headers={}, budget=_HEALTH_SECONDS, longest_body=0)
    try:
        return service.call("GET", "/dev/__health", repeatable=False).status < _SERVER_ERROR
    except (ServiceFailed, ServiceTimeout):
        return False
