"""What is known here of the trusted issuer's people and organizations (CONFIG_FILE)."""

from django.db import models

from accounts.models.organizations import Organization
from accounts.models.users import User

LONGEST_ISSUER = 2000
LONGEST_SUBJECT = 255


class IssuerPerson(models.Model):
    """A person as an issuer knows them, by issuer and subject and by nothing else, and who they are here.

    Their name and e-mail address are the issuer's word. The address is kept here and not on the person: it was never
    verified by this server, and must open nothing that an address opens (invitations, signing up).
    Tokens from before `valid_from` are refused: the person's access has ended since.
    """

    issuer = models.CharField(max_length=LONGEST_ISSUER)
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="issuer_identities")
    name = models.CharField(max_length=255, blank=True)
    email = models.CharField(max_length=254, blank=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    valid_from = models.DateTimeField(null=True, blank=True)

    class Meta:
        """Once for each issuer and subject."""

        ordering = ("-created_at", "-pk")
        verbose_name = "person of another issuer"
        verbose_name_plural = "people of other issuers"
        constraints = (models.UniqueConstraint(fields=["issuer", "subject"], name="issuer_person_once"),)

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class IssuerOrganization(models.Model):
    """An organization in which an issuer's tokens may act, by its slug.

    `foreign_id` is the issuer's own id of it, from the first token that named one: another organization that takes the
    slug over there later is not this one. "" until then.
    """

    organization = models.OneToOneField(Organization, on_delete=models.CASCADE, related_name="issuer_organization")
    issuer = models.CharField(max_length=LONGEST_ISSUER)
    foreign_id = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        """By organization."""

        ordering = ("organization__slug", "pk")
        verbose_name = "organization of another issuer"
        verbose_name_plural = "organizations of other issuers"

    def __str__(self) -> str:
        return f"{self.organization} of {self.issuer}"
