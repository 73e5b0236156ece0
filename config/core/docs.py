"""The page that shows the API's OpenAPI document; its script and style come from this server."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET


@login_not_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """GET /api/docs."""
    response = render(request, "api_docs.html")
    # Swagger UI sets style attributes while it draws; nothing on this page is secret or signed in.
    response["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return response
