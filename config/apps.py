"""The operators' admin, with a site of our own."""

from django.contrib.admin.apps import AdminConfig


class OperatorAdminConfig(AdminConfig):
    """Django's admin; everything is registered with `config.admin_site.OperatorSite`."""

    default_site = "config.admin_site.OperatorSite"
