"""Workspaces: machines at Fly that people develop on, with their databases, members and cron jobs."""
