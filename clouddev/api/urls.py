"""Addresses of the cloud dev API."""

from django.urls import path

from clouddev.api import credentials, machines, members, offers

urlpatterns = [
    path("create", machines.CreateView.as_view(), name="machine-create"),
    path("list", machines.ListView.as_view(), name="machine-list"),
    path("status", machines.StatusView.as_view(), name="machine-status"),
    path("try-again", machines.TryAgainView.as_view(), name="machine-try-again"),
    path("start", machines.StartView.as_view(), name="machine-start"),
    path("stop", machines.StopView.as_view(), name="machine-stop"),
    path("destroy", machines.DestroyView.as_view(), name="machine-destroy"),
    path("keep-alive", machines.KeepAliveView.as_view(), name="machine-keep-alive"),
    path("ssh-key", credentials.SSHKeyView.as_view(), name="machine-ssh-key"),
    path("mcp-token", credentials.MCPTokenView.as_view(), name="machine-mcp-token"),
    path("webhook-token", credentials.WebhookTokenView.as_view(), name="machine-webhook-token"),
    path("revoked-tokens", credentials.RevokedTokensView.as_view(), name="machine-revoked-tokens"),
    path("members", members.MembersView.as_view(), name="machine-members"),
    path("transfer", members.TransferView.as_view(), name="machine-transfer"),
    path("offers", offers.OffersView.as_view(), name="machine-offers"),
    path("offers/made", offers.MadeOffersView.as_view(), name="machine-offers-made"),
    path("offers/<uuid:offer_id>/accept", offers.AcceptView.as_view(), name="machine-offer-accept"),
    path("offers/<uuid:offer_id>/decline", offers.DeclineView.as_view(), name="machine-offer-decline"),
    path("offers/<uuid:offer_id>/withdraw", offers.WithdrawView.as_view(), name="machine-offer-withdraw"),
]
