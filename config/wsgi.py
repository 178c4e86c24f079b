"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from config.collector import spare_what_is_loaded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

from config.tracing import start_tracing  # noqa: E402  (after the settings)

start_tracing()
get_resolver().check()  # loads every view now, instead of in the first request
spare_what_is_loaded()
