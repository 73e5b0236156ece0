"""Addresses of the cron API."""

from django.urls import path

from clouddev.api import cron

urlpatterns = [
    path("jobs", cron.JobsView.as_view(), name="cron-jobs"),
    path("jobs/<uuid:job_id>", cron.JobView.as_view(), name="cron-job"),
    path("jobs/<uuid:job_id>/runs", cron.RunsView.as_view(), name="cron-runs"),
]
