"""What people are shown of a workspace: a word, a colour, a sentence, and which buttons work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clouddev.models import Machine
from clouddev.services import desired_state, fly_states, kept_env
from core.badges import Tone

State = Machine.State
_OURS: dict[str, tuple[str, Tone]] = {
    State.CREATING: ("Creating", "going"),
    State.UNDOING: ("Failed", "bad"),
    State.FAILED: ("Failed", "bad"),
    State.DESTROYING: ("Being destroyed", "warn"),
}
_FLYS: Mapping[str, tuple[str, Tone]] = {
    "started": ("Running", "good"),
    **dict.fromkeys(("created", "creating", "starting", "restarting", "replacing", "updating"), ("Starting", "going")),
    **dict.fromkeys(("stopping", "suspending"), ("Stopping", "going")),
    "stopped": ("Stopped", "plain"),
    "suspended": ("Suspended", "plain"),
    "failed": ("Failed at Fly", "bad"),
    fly_states.LOST: ("Lost at Fly", "bad"),
    fly_states.UNKNOWN: ("Unknown", "warn"),
}
_ASLEEP = frozenset({"stopped", "suspended", "created", "failed", fly_states.UNKNOWN})
_AWAKE = frozenset({"started", "starting", fly_states.UNKNOWN})
_UNKNOWN = "Fly can't say how it is right now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Display:
    """A machine, as its page shows it. `sentence` is what happens right now, `failed` what went wrong."""

    word: str
    tone: Tone
    sentence: str = ""
    failed: str = ""
    can_open: bool = False
    can_start: bool = False
    can_stop: bool = False
    can_try_again: bool = False
    can_be_made_anew: bool = False


def display_of(machine: Machine, fly_state: str, *, now: datetime) -> Display:
    """How it is; `fly_state` is the contract's word, as `queries` has it."""
    if machine.state == State.READY:
        return _at_fly(machine, fly_state)
    word, tone = _OURS[machine.state]
    has_failed, is_known = machine.state == State.FAILED, kept_env.are_known(machine, now=now)
    return Display(
        word=word,
        tone=tone,
        sentence=machine.step,
        failed=machine.error,
        can_try_again=has_failed and is_known,
        can_be_made_anew=has_failed and not is_known,
    )


def _at_fly(machine: Machine, said: str) -> Display:
    if said == fly_states.LOST:
        word, tone = _FLYS[said]
        return Display(word=word, tone=tone, failed=fly_states.LOST_SENTENCE)
    going = desired_state.under_way(machine, said)
    word, tone = _FLYS.get(going or said, (said.capitalize(), "plain"))
    sentence = f"The workspace is {going}…" if going else ""
    return Display(
        word=word,
        tone=tone,
        sentence=_UNKNOWN if said == fly_states.UNKNOWN else sentence,
        failed=desired_state.complaint(machine, said),
        # One that sleeps wakes up when it is opened.
        can_open=True,
        can_start=said in _ASLEEP,
        can_stop=said in _AWAKE,
    )
