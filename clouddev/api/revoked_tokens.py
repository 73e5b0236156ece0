"""The cloud dev API, about tokens that were revoked: for machines, which verify tokens by themselves."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from clouddev.api import serializers
from clouddev.api.parameters import TAG
from clouddev.services import tokens
from core.api import Endpoint, query, required, success
from core.openapi import documented
from core.request_context import current_address

_LONGEST_APP = 63


class RevokedTokensView(Endpoint):
    """GET /api/cloud-dev/revoked-tokens."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @documented(
        summary="List revoked tokens of a machine",
        data=serializers.RevokedTokensSerializer(),
        tag=TAG,
        parameters=[
            OpenApiParameter("app", str, required=True, description="A machine's name at Fly, as in the claim `app`.")
        ],
        public=True,
    )
    def get(self, request: Request) -> HttpResponse:
        """Tell which tokens of a machine were revoked before their time; may be kept for a minute."""
        name = required(query(request), "app", at_most=_LONGEST_APP)
        found = tokens.revoked_tokens(fly_name=name, address=current_address(), now=timezone.now())
        answer = success({"jtis": found})
        answer["Cache-Control"] = f"public, max-age={tokens.REVOKED_KEPT_SECONDS}"
        return answer
