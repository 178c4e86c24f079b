"""What an operator lets sources reach, and the secrets that settings may only name."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from provider.sources.settings import InvalidSourceSettings

SECRET_PREFIX = "secret:"


@dataclass(frozen=True, slots=True)
class SourceEnvironment:
    """`hosts`: `name` or `name:port` that may be asked; `folders`: below which files may be read;
    `servers`: Redis servers with live streams, by name.

    Empty by default: nobody makes the workers call into a network by writing a node's settings.
    """

    hosts: Collection[str] = ()
    folders: Collection[Path] = ()
    secrets: Mapping[str, str] = field(default_factory=dict)
    servers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def check_address(self, url: str, key: str = "url") -> None:
        """Raises InvalidSourceSettings unless the address is http(s) on a host that is allowed."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InvalidSourceSettings(key, "has no port that is a number") from None
        if parts.scheme not in ("http", "https") or not host:
            raise InvalidSourceSettings(key, "is not an http or https address")
        if parts.username is not None or parts.password is not None:
            raise InvalidSourceSettings(key, "holds credentials; name a secret in `headers`")
        if host not in self.hosts and f"{host}:{port}" not in self.hosts:
            raise InvalidSourceSettings(
                key, f"asks {host!r}, which SEAMLESS_SOURCE_HOSTS does not name"
            )

    def folder(self, path: str) -> Path:
        """The folder at `path`; InvalidSourceSettings unless it lies below an allowed one."""
        found = Path(path).resolve()
        roots = [Path(root).resolve() for root in self.folders]
        if not any(root == found or root in found.parents for root in roots):
            raise InvalidSourceSettings(
                "path", "lies outside the folders that SEAMLESS_SOURCE_FOLDERS names"
            )
        return found

    def server(self, name: str) -> str:
        """The address of a Redis server. Raises InvalidSourceSettings, which shows none."""
        if name not in self.servers:
            known = ", ".join(sorted(self.servers)) or "none yet"
            raise InvalidSourceSettings(
                "server", f"is {name!r}, which SEAMLESS_LIVE_SERVERS does not name ({known})"
            )
        return self.servers[name]

    def revealed(self, text: str, key: str) -> str:
        """The text, or the secret that it names as `secret:NAME`."""
        if not text.startswith(SECRET_PREFIX):
            return text
        name = text.removeprefix(SECRET_PREFIX)
        if name not in self.secrets:
            raise InvalidSourceSettings(
                key, f"names the secret {name!r}, which SEAMLESS_SOURCE_SECRETS does not hold"
            )
        return self.secrets[name]
