"""The operators' page that says who may do what, and why. It changes nothing, so its question stands in its address."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.sites import UnfoldAdminSite
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.policies.actions import ACTIONS
from accounts.principals import SCOPES, Proof
from accounts.services.explain import SERVER_WORD, Question, explain, kinds
from core.errors import Malformed, NotFound

_LONGEST = 300


def _text(label: str, *, help_text: str, required: bool = False, initial: str = "") -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    return forms.CharField(
        label=label, max_length=_LONGEST, required=required, help_text=help_text, initial=initial, widget=widget
    )


class ExplainForm(forms.Form):
    """A question to the policies."""

    person = _text("Who", required=True, help_text="A login, an e-mail address or an id")
    action = forms.ChoiceField(
        label="May they",
        choices=[(action.name, f"{action.name}: {action.sentence}") for action in ACTIONS.values()],
        widget=UnfoldAdminSelectWidget,
    )
    thing = _text("What it is done to", help_text="", initial=SERVER_WORD)
    organization = _text(
        "Organization", help_text="The slug of the one that the credential is for; empty for a browser"
    )
    proof = forms.ChoiceField(
        label="What they show",
        choices=[("", "—"), *((proof.value, proof.value.replace("_", " ")) for proof in Proof)],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    scopes = _text("Scopes", help_text="What it was narrowed to, with spaces; empty where it was not")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["thing"].help_text = f"One of {', '.join(kinds())}; a workspace is workspace:alice/studio or its id"
        self.fields["scopes"].help_text = f"What it was narrowed to, of {', '.join(SCOPES)}; empty where it was not"

    def question(self) -> Question:
        """What is asked, once the form is valid."""
        asked = self.cleaned_data
        return Question(
            person=asked["person"],
            action=asked["action"],
            thing=asked["thing"] or SERVER_WORD,
            organization=asked["organization"],
            proof=asked["proof"],
            scopes=frozenset(asked["scopes"].split()) or None,
        )


def explain_page(request: HttpRequest, site: UnfoldAdminSite) -> HttpResponse:
    """The form and, where a question was asked, its answer."""
    form = ExplainForm(request.GET or None)
    context: dict[str, Any] = {**site.each_context(request), "title": "Who may do what", "form": form}
    if request.GET and form.is_valid():
        try:
            context["explanation"] = explain(form.question())
        except (Malformed, NotFound) as error:
            form.add_error(None, error.sentence)
    return TemplateResponse(request, "admin/explain.html", context)
