from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class RegistryConfig(AppConfig):
    name = "registry"

    def ready(self) -> None:
        from registry import safety_net
        from registry.models import protections  # noqa: F401  (declares them)
        from registry.roles import grant_to_application
        from registry.services import signing_in  # noqa: F401  (listens)
        from registry.triggers import install_triggers, remove_triggers

        safety_net.install()
        pre_migrate.connect(remove_triggers, sender=self)
        post_migrate.connect(install_triggers, sender=self)
        post_migrate.connect(grant_to_application, sender=self)
