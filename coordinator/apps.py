from django.apps import AppConfig


class CoordinatorConfig(AppConfig):
    name = "coordinator"
    verbose_name = "Backfills"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from coordinator import protections  # noqa: F401 - declares them
