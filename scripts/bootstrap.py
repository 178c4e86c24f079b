"""Make `.venv` and install one lock file into it: `python3 scripts/bootstrap.py demo|dev`.

Standard library only, since it runs before anything is installed. A bare Debian has Python 3.11 and
pip, but perhaps neither ensurepip (python3-venv) nor uv: the environment is made without pip, the
system's pip puts a hash-checked uv into it, and uv installs the rest, every file hash-checked.

Running it again installs nothing: `.venv/seamless-bootstrap.json` records what was installed. An
environment whose interpreter no longer runs, or whose installation was cut short, is rebuilt; one
that somebody else made and that works is completed, never deleted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
VENV_UV = VENV / "bin" / "uv"
MARKER = VENV / "seamless-bootstrap.json"
LOCKS = {"demo": ROOT / "requirements-demo.txt", "dev": ROOT / "requirements-dev.txt"}
OLDEST_PYTHON = (3, 11)


def stop(problem: str, way_out: str) -> NoReturn:
    sys.exit(f"\nSet-up stopped: {problem}\n  Way out: {way_out}")


def say(line: str) -> None:
    print(f"[setup] {line}", flush=True)


def main(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        sys.exit(f"usage: python3 scripts/bootstrap.py {'|'.join(LOCKS)}")
    name = arguments[0]
    lock = LOCKS[name]
    if not lock.is_file():
        stop(f"{lock.name} is missing.", "restore it from git, or write it with `make lock`.")
    check_python()
    with one_at_a_time():
        install_once(name, lock)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two `make` at once in one folder take turns; this script's own file is what they lock."""
    with Path(__file__).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_once(name: str, lock: Path) -> None:
    state = usable_environment()
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if state["locks"].get(name) == wanted:
        return
    if not VENV_UV.exists():
        require_pip()
    if not VENV_PYTHON.exists():
        create_environment()
    save_state({**state, "installing": name})
    if not VENV_UV.exists():
        install_uv()
    say(f"installing {lock.name} into .venv")
    uv_install(lock)
    save_state({"locks": {**state["locks"], name: wanted}, "files": installed_names()})
    say("ready")


def check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        stop(
            f"{sys.executable} is Python {own_version()}; Seamless needs 3.11 or newer.",
            "name a newer one: `make PYTHON=python3.12 demo`.",
        )
    if find_spec("venv") is None:
        stop(
            f"{sys.executable} has no `venv` module.",
            "`apt-get install python3-venv`, or name another interpreter: `make PYTHON=… demo`.",
        )


def own_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:2])


def usable_environment() -> dict[str, Any]:
    """The record of what `.venv` holds, after removing a `.venv` that cannot be used."""
    nothing: dict[str, Any] = {"locks": {}}
    if not VENV.exists() and not VENV.is_symlink():
        return nothing
    problem = environment_problem()
    if problem is None:
        return read_state() or nothing
    say(f".venv {problem}: rebuilding it")
    try:
        VENV.unlink() if VENV.is_symlink() or VENV.is_file() else shutil.rmtree(VENV)
    except OSError as error:
        stop(f".venv cannot be removed ({error}).", "delete the folder by hand and try again.")
    return nothing


def environment_problem() -> str | None:
    if not (VENV / "pyvenv.cfg").is_file():
        return "is not a virtual environment"
    if environment_version() != list(sys.version_info[:2]):
        return f"has no working Python {own_version()}"
    state = read_state()
    if state is None:
        return "has an unreadable record" if MARKER.exists() else None
    if "installing" in state:
        return "is half made (an earlier set-up was cut short)"
    if not set(state["files"]) <= set(installed_names()):
        return "has lost packages that the set-up installed"
    return None


def environment_version() -> list[int] | None:
    question = "import sys; print(*sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [VENV_PYTHON, "-c", question], capture_output=True, text=True, timeout=60, check=True
        )
        return [int(part) for part in answer.stdout.split()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def installed_names() -> list[str]:
    """The top-level names in site-packages: cheap to list, and a removed package shows."""
    names = {path.name for path in VENV.glob("lib/python3*/site-packages/*")}
    return sorted(names - {"__pycache__"})


def read_state() -> dict[str, Any] | None:
    """The record, or None where there is none or it is not one of ours."""
    try:
        state = json.loads(MARKER.read_text())
        return state if isinstance(state["locks"], dict) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def save_state(state: dict[str, Any]) -> None:
    unfinished = MARKER.with_suffix(".new")
    unfinished.write_text(json.dumps(state))
    unfinished.replace(MARKER)


def create_environment() -> None:
    say(f"making .venv with {sys.executable}")
    run(
        [sys.executable, "-m", "venv", "--without-pip", str(VENV)],
        "`python -m venv --without-pip .venv` failed.",
        f"check that {ROOT} is writable and has free space, then try again.",
    )


def require_pip() -> None:
    if find_spec("pip") is None:
        stop(
            f"{sys.executable} has no pip.",
            "`apt-get install python3-pip` (or `python3 -m ensurepip`), or name another "
            "interpreter: `make PYTHON=… demo`.",
        )


def install_uv() -> None:
    """Put the locked uv into `.venv` with the pip of this interpreter."""
    say("installing uv into .venv")
    pip = [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON)]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    with tempfile.NamedTemporaryFile("w", suffix="-uv.txt") as only_uv:
        only_uv.write(locked_uv())
        only_uv.flush()
        run(
            [*pip, "install", *options, "-r", only_uv.name],
            "pip could not install uv.",
            "the lines above are pip's. Is the package index reachable (proxy, certificates)? "
            "pip's own settings (PIP_INDEX_URL, PIP_CERT) are honoured.",
        )


def locked_uv() -> str:
    """The entry of uv, with its hashes, in requirements-dev.txt."""
    entry = re.search(r"^uv==(?:.*\\\n)*.*\n", LOCKS["dev"].read_text(), re.MULTILINE)
    if entry is None:
        stop("requirements-dev.txt does not lock uv.", "write it again with `make lock`.")
    return entry.group()


def uv_install(lock: Path) -> None:
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # a person sees the progress bars
    run(
        [
            *(str(VENV_UV), "pip", "install", "--python", str(VENV_PYTHON), *quiet),
            *("--require-hashes", "-r", str(lock)),
        ],
        f"uv could not install {lock.name}.",
        "the lines above are uv's. Is the package index reachable (proxy, certificates)? uv's own "
        "settings (UV_DEFAULT_INDEX, SSL_CERT_FILE) are honoured. Then run the same command again.",
    )


def run(command: list[str], problem: str, way_out: str) -> None:
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError):
        stop(problem, way_out)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\nSet-up interrupted; run the same command again.")
