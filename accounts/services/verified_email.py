"""Which e-mail address is known to be a person's."""

from allauth.account.models import EmailAddress

from accounts.email_addresses import plain
from accounts.models import User
from accounts.models.users import Person


def verified_email(person: Person) -> str:
    """The person's address as `plain` has it, if it is known to be theirs; else "".

    GitHub says so at each sign-in of whoever has an account there; what an operator typed about another one doesn't.
    """
    user = User.objects.filter(pk=person.id, is_active=True).values_list("github_id", "email").first()
    if user is None or not user[1]:
        return ""
    github_id, address = user[0], plain(user[1])
    if github_id is not None:
        return address
    own = EmailAddress.objects.filter(user_id=person.id, verified=True).values_list("email", flat=True)
    return address if address in map(plain, own) else ""
