"""The API's OpenAPI document, and the page that shows it; its script and style come from this server."""

from functools import lru_cache

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from core.api import Endpoint


@extend_schema(exclude=True)
class DocumentView(Endpoint):
    """GET /api/docs/openapi.json. Ours rather than spectacular's, whose errors are not in the contract's shape."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> HttpResponse:  # noqa: ARG002 - the same for everybody
        """The document, whatever `Accept` says: there is one format."""
        return HttpResponse(_document(), content_type="application/json", headers={"Cache-Control": "no-cache"})


@lru_cache(maxsize=1)
def _document() -> bytes:
    """The document of this process's code; describing it takes longer than any request should."""
    document: bytes = OpenApiJsonRenderer().render(SchemaGenerator().get_schema(request=None, public=True))
    return document


@login_not_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """GET /api/docs."""
    response = render(request, "api_docs.html")
    # Swagger UI sets style attributes while it draws; nothing on this page is secret or signed in.
    response["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response
