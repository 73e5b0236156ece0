"""Making and deleting apps at Fly, in steps that can be repeated.

The row comes first, so that whatever happens at Fly is known to be ours. One call at a time has the row's lease and
renews it before each question to Fly. One that died is followed, after CLAIM_LASTS, by any other, which begins at the
start: every step first looks at, or is recognised by Fly as, what was done before.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction

from accounts.audit import record
from core.errors import Conflict, Unavailable
from core.leases import Lease, LeaseLost, Result
from fly.clients.machines_api import (
    AddressKind,
    Fly,
    FlyBusy,
    FlyRefusesToken,
    FlyRejected,
    FlyWantsPayment,
    NameTaken,
    NotOurs,
    PreconditionFailed,
    QuotaExceeded,
    UnknownApp,
)
from fly.models import FlyApp, FlyAppQuerySet
from fly.names import new_fly_name

State = FlyApp.State
USUAL_ADDRESSES: tuple[AddressKind, ...] = ("v6", "shared_v4")
# How long Fly may take to see a change everywhere, at the most.
SETTLES_AFTER = timedelta(minutes=5)
_PATIENCE = timedelta(seconds=3)
# After so long nothing more is asked of Fly: with 5 seconds for each call, a thread that serves people is held for 15
# at most. Three slow calls have room, to make the app, to see its addresses and to give one, so each attempt gets on.
BEGINS_NO_CALL_AFTER_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.25
_TRY_AGAIN_AFTER_SECONDS = 5


class StillChanging(Unavailable):
    """503: another call is at this app, or Fly doesn't see everywhere yet that it was made."""

    default = "Fly is still setting this app up. Please try again in a moment."


class NoLongerOurs(Conflict):
    """409: the name is somebody else's, or the app was deleted, so another one must be intended."""

    default = "This app can't be made under its name at Fly. Please try again."


def intend(*, now: datetime, name: str = "") -> FlyApp:
    """Record an app to be made at Fly, with a private network of its own. Give it a user in the same transaction."""
    return FlyApp.objects.create(name=name or new_fly_name(), network=new_fly_name(), created_at=now)


def intend_again(*, fly_app_id: str, now: datetime) -> None:
    """Record that an app which Fly has lost is to be made once more, by a question that Fly hasn't answered before."""
    FlyApp.objects.filter(pk=fly_app_id, state=State.READY).update(
        state=State.INTENDED, idempotency_key=uuid.uuid4(), created_at=now, made_at=None, ready_at=None
    )


def ensure(
    *,
    fly_app_id: str,
    now: datetime,
    addresses: Sequence[AddressKind] = USUAL_ADDRESSES,
    patience: timedelta = _PATIENCE,
) -> None:
    """See to it that the app is at Fly and has these addresses; calling again does what is left.

    `patience` is how long to wait for Fly to see what it has just made; all together takes 15 seconds at most. Raises
    StillChanging, NoLongerOurs, and the client's errors; after all but NoLongerOurs calling again settles it.
    """
    if FlyApp.objects.filter(pk=fly_app_id, state=State.READY).exists():
        return
    fly = Fly.from_settings()
    try:
        with _taken(fly_app_id, state=State.INTENDED, now=now, patience=patience) as lease:
            _make(fly, lease)
            _give_addresses(fly, lease, addresses)
            lease.end(state=State.READY, ready_at=lease.now, refusal="")
    except LeaseLost:
        _require_ready(fly_app_id)
    except (FlyRejected, FlyWantsPayment, QuotaExceeded) as error:
        note_refusal(fly_app_id=fly_app_id, reason=error.reason)
        raise


@transaction.atomic
def note_refusal(*, fly_app_id: str, reason: str) -> None:
    """Keep why Fly refuses the app for good, for operators, and say it in the audit trail when it is new."""
    said = reason or "Fly gave no reason."
    if FlyApp.objects.filter(pk=fly_app_id).exclude(refusal=said).update(refusal=said):
        record(
            "fly_app.refused", actor=None, target_type="FlyApp", target_id=fly_app_id,
            organization_id=organization_of(fly_app_id), details={"reason": said},
        )  # fmt: skip


def organization_of(fly_app_id: str) -> uuid.UUID | None:
    """Whose the app is, by the row of any kind that points at it; None for one that nothing points at."""
    for relation in FlyApp._meta.related_objects:  # noqa: SLF001 - Django documents it
        users = relation.related_model._base_manager.filter(**{relation.field.name: fly_app_id})  # noqa: SLF001 - the same
        found: uuid.UUID | None = users.values_list("organization_id", flat=True).first()
        if found is not None:
            return found
    return None


def remove(*, fly_app_id: str, now: datetime) -> None:
    """Delete the app at Fly with all that is in it; one that isn't there is done. Can be repeated.

    Raises StillChanging and the client's errors; the row then says that it is to be deleted.
    """
    FlyApp.objects.filter(pk=fly_app_id, state__in=[State.INTENDED, State.READY]).update(state=State.DELETING)
    if FlyApp.objects.filter(pk=fly_app_id, state=State.GONE).exists():
        return
    fly = Fly.from_settings()
    try:
        with _taken(fly_app_id, state=State.DELETING, now=now) as lease:
            _delete(fly, fly_app_id)
            lease.end(state=State.GONE, gone_at=lease.now)
    except LeaseLost as error:
        if not FlyApp.objects.filter(pk=fly_app_id, state=State.GONE).exists():
            raise StillChanging(retry_after=_TRY_AGAIN_AFTER_SECONDS) from error


@contextmanager
def _taken(
    fly_app_id: str, *, state: FlyApp.State, now: datetime, patience: timedelta = timedelta()
) -> Iterator["_AppLease"]:
    """The lease of an app that is in this state; at the end it is let go, so that the next call needn't wait.

    Raises LeaseLost when another call has it, or the state is another.
    """
    claim = uuid.uuid4()
    if not FlyApp.objects.free(now=now).filter(pk=fly_app_id, state=state).update(claim=claim, claimed_at=now):
        raise LeaseLost
    mine = FlyApp.objects.filter(pk=fly_app_id, claim=claim)
    try:
        yield _AppLease(FlyApp.objects.get(pk=fly_app_id), mine=mine.filter(state=state), now=now, patience=patience)
    finally:
        mine.update(claim=None, claimed_at=None)


class _AppLease(Lease[FlyApp]):
    """The right to make an app, or to delete it: good for CLAIM_LASTS from each time when it is renewed."""

    def __init__(self, row: FlyApp, *, mine: FlyAppQuerySet, now: datetime, patience: timedelta) -> None:
        super().__init__(row, mine=mine)
        self._began, self._began_at = time.monotonic(), now
        self._until = self._began + BEGINS_NO_CALL_AFTER_SECONDS
        self._patience = patience.total_seconds()

    @property
    def now(self) -> datetime:
        """The time, counted from the beginning."""
        return self._began_at + timedelta(seconds=time.monotonic() - self._began)

    def renew(self) -> None:
        """Say that this call lives. To be done before each question to Fly, which takes less than a claim lasts.

        Raises StillChanging when there is no time left for another, and LeaseLost.
        """
        if time.monotonic() > self._until:
            raise StillChanging(retry_after=_TRY_AGAIN_AFTER_SECONDS)
        self.update_now(claimed_at=self.now)

    def patiently(self, call: Callable[[], Result]) -> Result:
        """The result, once Fly sees the app that was just made. Raises StillChanging when it takes too long.

        For up to a minute some of its hosts deny it, with a 404 or even a 401.
        """
        pause, until = _FIRST_PAUSE_SECONDS, min(time.monotonic() + self._patience, self._until)
        while True:
            self.renew()
            try:
                return call()
            except NotOurs:
                raise
            except (UnknownApp, FlyRefusesToken, FlyBusy) as error:
                wait = max(pause, error.retry_after or 0)
                if time.monotonic() + wait > until:
                    raise StillChanging(retry_after=max(_TRY_AGAIN_AFTER_SECONDS, error.retry_after or 0)) from error
            time.sleep(wait)
            pause *= 2

    def end(self, **values: object) -> None:
        """Record the outcome and let go. Raises LeaseLost."""
        self.update_now(claim=None, claimed_at=None, **values)


def _make(fly: Fly, lease: _AppLease) -> None:
    row = lease.row
    lease.renew()
    try:
        fly.create_app(name=row.name, network=row.network, idempotency_key=row.idempotency_key)
    except NameTaken as error:
        # Ours from a call whose key Fly has forgotten, or somebody else's.
        if not _is_ours(fly, lease):
            lease.end(state=State.GONE, gone_at=lease.now)
            raise NoLongerOurs from error
    lease.update_now(made_at=lease.now)


def _is_ours(fly: Fly, lease: _AppLease) -> bool:
    """Whether the app that has the name has our network too, which nobody else knows."""
    row = lease.row
    try:
        return lease.patiently(lambda: fly.get_app(row.name)).network == row.network
    except NotOurs:
        return False
    except StillChanging:
        if lease.now - row.created_at > SETTLES_AFTER:
            return False
        raise


def _give_addresses(fly: Fly, lease: _AppLease, kinds: Sequence[AddressKind]) -> None:
    name = lease.row.name

    def assigned() -> set[str]:
        return {address.kind for address in lease.patiently(lambda: fly.list_addresses(name))}

    there = assigned()
    for kind in kinds:
        if kind in there:
            continue
        try:
            lease.patiently(lambda kind=kind: fly.assign_address(name, kind=kind))  # type: ignore[misc]
        except (FlyRejected, PreconditionFailed):
            # Fly says so too when the app has one already.
            if kind not in assigned():
                raise


def _delete(fly: Fly, name: str) -> None:
    """Delete it. Fly may deny an app that was just made; the reconciliation deletes one that it shows later."""
    try:
        fly.delete_app(name)
    except UnknownApp:
        return


def _require_ready(fly_app_id: str) -> None:
    """Return if another call has made the app. Raises StillChanging or NoLongerOurs."""
    state = FlyApp.objects.filter(pk=fly_app_id).values_list("state", flat=True).first()
    if state == State.INTENDED:
        raise StillChanging(retry_after=_TRY_AGAIN_AFTER_SECONDS)
    if state != State.READY:
        raise NoLongerOurs
