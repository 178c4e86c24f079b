"""Instants to the second, with their zone: they are compared with logs and audit records."""

DATETIME_FORMAT = "Y-m-d H:i:s e"
DATE_FORMAT = "Y-m-d"
