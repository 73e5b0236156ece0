"""Columns that are right by construction: sealed values, and words of a choice."""

import base64
import pickle
import re

import pytest
from django.apps import apps
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from oauth2_provider.models import AbstractApplication

from accounts.models import CLILogin
from clouddev.models import Machine
from clouddev.models.machines import KeyLost as MachineKeyLost
from core.crypto import derived_keyring
from core.fields import ChoiceField, KeyLost, Sealed, seal
from deployments.models import Build
from tests.clouddev.builders import make_machine
from tests.deployments.builders import make_build, make_deployment

PLAIN = b"not-a-secret"
OTHER_KEY = f"1:{base64.b64encode(bytes(32)).decode()}"


def own_fields():
    """The fields of this server's own tables, but for those that django-oauth-toolkit describes."""
    ours = ("accounts", "clouddev", "deployments", "fly", "integrations")
    found = (model for model in apps.get_models() if model._meta.app_label in ours)
    toolkits = {field.name for field in AbstractApplication._meta.get_fields()}
    return [
        field
        for model in found
        for field in model._meta.local_concrete_fields
        if not (issubclass(model, AbstractApplication) and field.name in toolkits)
    ]


@pytest.fixture
def build(alice):
    return make_build(make_deployment(alice), sealed_environment=PLAIN)


# --- Sealed values ---


def test_what_is_given_is_sealed_for_the_row_and_opens_there(build):
    there = Build.objects.get(pk=build.pk).sealed_environment
    assert PLAIN not in bytes(there)
    assert there.open() == PLAIN == build.sealed_environment.open()


def test_nothing_is_nothing(alice):
    build = make_build(make_deployment(alice))
    assert (build.sealed_environment, Build.objects.get().sealed_environment) == (None, None)
    assert Machine().sealed_ssh_key is None


def test_in_another_row_or_column_it_does_not_open(build, alice):
    machine, other = make_machine(alice, state="creating"), make_machine(alice, "other", state="creating")
    machine.sealed_environment = PLAIN
    for row, name in ((other, "sealed_environment"), (machine, "sealed_ssh_key")):
        setattr(row, name, machine.sealed_environment)
        row.save()
        with pytest.raises(MachineKeyLost):
            getattr(Machine.objects.get(pk=row.pk), name).open()


def test_without_its_key_it_is_lost(build, settings):
    settings.ENCRYPTION_KEYS = OTHER_KEY
    with pytest.raises(KeyLost) as lost:
        Build.objects.get().sealed_environment.open()
    assert (lost.value.status, lost.value.retry_after) == (503, None)
    assert "encryption key" in lost.value.sentence


def test_a_row_is_saved_and_read_again_without_its_key(build, settings):
    before = bytes(build.sealed_environment)
    settings.ENCRYPTION_KEYS = OTHER_KEY
    build.refresh_from_db()
    build.save()
    deferred = Build.objects.defer("sealed_environment").get()
    assert bytes(deferred.sealed_environment) == before


def test_it_shows_itself_nowhere(build):
    sealed = bytes(build.sealed_environment)
    shown = [repr(build.sealed_environment), str(build.sealed_environment), f"{build.sealed_environment}"]
    assert set(shown) == {"<sealed>"}
    dumped = serializers.serialize("json", [build])
    assert '"sealed_environment": "<sealed>"' in dumped
    assert base64.b64encode(sealed).decode() not in dumped
    assert not build._meta.get_field("sealed_environment").editable


def test_what_was_dumped_is_not_taken_back(build):
    with pytest.raises((serializers.base.DeserializationError, ValidationError)):
        list(serializers.deserialize("json", serializers.serialize("json", [build])))


def test_a_query_takes_no_plain_bytes(build):
    for refused in (PLAIN, bytearray(PLAIN), memoryview(PLAIN), PLAIN.decode()):
        with pytest.raises(TypeError):
            Build.objects.update(sealed_environment=refused)
    with pytest.raises(TypeError):
        Build.objects.filter(sealed_environment=PLAIN).exists()


def test_a_query_takes_what_was_sealed_for_the_row(build):
    Build.objects.update(sealed_environment=seal(build, "sealed_environment", b"other"))
    build.refresh_from_db()
    assert build.sealed_environment.open() == b"other"
    assert Build.objects.filter(sealed_environment=build.sealed_environment).exists()


def test_copies_are_alike_and_two_sealings_are_not(build):
    sealed = build.sealed_environment
    assert pickle.loads(pickle.dumps(sealed)) == sealed == Sealed(bytes(sealed))
    assert hash(sealed) == hash(Sealed(bytes(sealed)))
    assert seal(build, "sealed_environment", PLAIN) != sealed
    assert sealed != bytes(sealed)


def test_a_row_without_a_key_has_no_place():
    with pytest.raises(TypeError):
        seal(Build(pk=None), "sealed_environment", PLAIN)


def test_only_sealed_fields_seal(build):
    with pytest.raises(TypeError):
        seal(build, "commit", PLAIN)


def test_what_another_key_seals_is_not_sealed_by_ours():
    login, ring = CLILogin(), derived_keyring("secret", purpose="tests")
    with pytest.raises(TypeError):
        login.sealed_token = PLAIN
    login.sealed_token = seal(login, "sealed_token", PLAIN, ring=ring)
    assert login.sealed_token.open(ring) == PLAIN
    with pytest.raises(KeyLost):
        login.sealed_token.open()


# --- Words of a choice ---


def test_every_field_with_choices_is_checked_by_the_database():
    assert [str(field) for field in own_fields() if field.choices and not isinstance(field, ChoiceField)] == []


@pytest.mark.django_db
@pytest.mark.parametrize("field", [f for f in own_fields() if isinstance(f, ChoiceField)], ids=str)
def test_the_database_takes_the_words_of_the_choice_and_no_other(field):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid"
            " WHERE c.contype = 'c' AND c.conrelid = %s::regclass AND a.attname = %s AND c.conkey = ARRAY[a.attnum]",
            [field.model._meta.db_table, field.column],
        )
        ((condition,),) = [row for row in cursor.fetchall() if "ANY" in row[0] or "= '" in row[0]]
    assert sorted(re.findall(r"'([^']*)'::", condition)) == sorted(field.words())
    assert set(field.words()) - {""} == {value for value, _ in field.choices}


@pytest.mark.parametrize("word", ["nonsense", "QUEUED", "", None])
def test_another_word_is_refused(build, word):
    with pytest.raises(IntegrityError), transaction.atomic():
        Build.objects.update(state=word)


def test_where_it_may_be_blank_it_may_be_empty(alice):
    make_machine(alice)
    assert Machine.objects.update(wanted="") == 1


@pytest.mark.django_db
def test_a_choice_that_grows_is_a_change_of_the_table():
    """The choices of an ordinary field are none of the database's business."""
    less, more = ChoiceField(choices=[("a", "A")]), ChoiceField(choices=[("a", "A"), ("b", "B")])
    for field in (less, more):
        field.set_attributes_from_name("state")
    with connection.schema_editor(collect_sql=True) as editor:
        assert editor._field_should_be_altered(less, more)
    assert less.db_check(connection) == """"state" IN ('a')"""
