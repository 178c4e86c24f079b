"""The Django project: it wires the three apps and knows no rules."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
