"""The Celery application: `celery -A config worker -B`."""

import os

from celery import Celery

from config import task_context

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("seamless")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
task_context.connect()
