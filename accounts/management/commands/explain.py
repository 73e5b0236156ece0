"""manage.py explain."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.policies.actions import ACTIONS
from accounts.policies.loading import InvalidPolicies, schema_text
from accounts.principals import SCOPES, Proof
from accounts.services.explain import Question, explain, kinds
from core.errors import ApplicationError


class Command(BaseCommand):
    """Says whether somebody may do something, and which policies say so."""

    help = "Say whether PRINCIPAL may do ACTION to OBJECT, and which policies say so. Changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The question, and how it is asked."""
        parser.add_argument("principal", nargs="?", help="a login, an e-mail address or an id")
        parser.add_argument("action", nargs="?", help="such as workspaces.stop; --actions lists all")
        parser.add_argument(
            "object", nargs="?", default="server", help=f"one of {', '.join(kinds())}, with :id or :owner/name"
        )
        parser.add_argument("--org", default="", help="the slug of the organization that the credential is for")
        parser.add_argument("--proof", default="", choices=["", *Proof], help="what is shown; a session by default")
        parser.add_argument("--scope", action="append", choices=list(SCOPES), help="a scope that it was narrowed to")
        parser.add_argument("--actions", action="store_true", help="list all actions instead")
        parser.add_argument(
            "--schema", action="store_true", help="print the schema that policies are written to instead"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the answer; CommandError, and so status 1, where there is none."""
        if options["schema"]:
            self.stdout.write(schema_text())
            return
        if options["actions"]:
            for action in ACTIONS.values():
                self.stdout.write(f"{action.name:32}{action.on:13}{action.scope or '':20}{action.sentence}")
            return
        if not options["principal"] or not options["action"]:
            raise CommandError("Say who and what: manage.py explain PRINCIPAL ACTION OBJECT")
        question = Question(
            person=options["principal"],
            action=options["action"],
            thing=options["object"],
            organization=options["org"],
            proof=options["proof"],
            scopes=frozenset(options["scope"]) if options["scope"] else None,
        )
        try:
            explanation = explain(question)
        except (ApplicationError, InvalidPolicies) as error:
            raise CommandError(str(error)) from error
        asked = " ".join(options[name] for name in ("principal", "action", "object"))
        self.stdout.write(f"{'Allowed' if explanation.allowed else 'Refused'}: {asked}")
        for step in explanation.steps:
            by = ", ".join(step.decision.policies) or "no policy"
            self.stdout.write(f"{step.title}: {'allowed' if step.decision.allowed else 'refused'} by {by}")
            for sentence in step.sentences:
                self.stdout.write(f"  {sentence}")
