"""`make containers`: build the image, run the compose file, break it, and take everything down again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from tests.containers import story
from tests.containers.client import Processes, new_token
from tests.containers.engine import Engine, run
from tests.containers.image import build_image, run_alone
from tests.containers.podman import INSIDE, furnish_namespaces, podman, run_folder, run_inside
from tests.containers.project import Project
from tests.containers.standins import make_stand_ins
from tests.containers.telling import CheckError, check, say, time_limit
from tests.support.owned_process import free_port

ROOT = Path(__file__).resolve().parents[2]
_UID = 10_001
_PASSWORDS = ("RABBITMQ_PASSWORD", "MONGODB_PASSWORD", "MONGODB_ROOT_PASSWORD", "GRAFANA_PASSWORD")
_DOCKER_ANSWERS_WITHIN_S = 20
_BUILD_LIMIT_S = 1_200
_RUN_LIMIT_S = 600
_ENDED_BY_CTRL_C = 128 + signal.SIGINT
_ASKED_TO_END = 128 + signal.SIGTERM


def main() -> int:
    """Choose the engine, build, run; 0 where everything held."""
    signal.signal(signal.SIGTERM, _end_in_good_order)
    try:
        if os.environ.get(INSIDE):
            furnish_namespaces()
            _run(podman(ROOT))
        elif _docker_answers():
            _with_docker()
        else:
            return _with_podman()
    except CheckError as failure:
        say(f"FAILED: {failure}")
        return 1
    except KeyboardInterrupt:
        say("given up by Ctrl-C")
        return _ENDED_BY_CTRL_C
    return 0


def _with_docker() -> None:
    engine = Engine(name="Docker", command="docker", compose=("docker", "compose"))
    try:
        run(["docker", "compose", "version"])
    except CheckError:
        raise CheckError(
            "Docker answers, but it has no `docker compose`: install its compose plugin"
        ) from None
    say("Docker, with the official images")
    with time_limit(_BUILD_LIMIT_S):
        build_image(engine, ROOT)
    _run(engine)


def _with_podman() -> int:
    engine = podman(ROOT)
    say("podman, with stand-ins for the official images, since no Docker engine answers")
    with run_folder(ROOT):
        with time_limit(_BUILD_LIMIT_S):
            make_stand_ins(engine, ROOT)
            build_image(engine, ROOT)
            # What earlier builds left would grow with each of them; the layers of today are kept.
            engine("image", "prune", "--force", "--filter", "until=24h")
        return run_inside()


def _run(engine: Engine) -> None:
    token, token_line = new_token()
    with tempfile.TemporaryDirectory(prefix="batuta-check-") as folder:
        variables = _variables(Path(folder), token_line)
        _check_that_a_missing_password_is_told(engine, variables)
        project = Project(engine, ROOT, variables)
        project.down(with_data=True)  # what a run that was killed may have left
        try:
            with time_limit(_RUN_LIMIT_S):
                run_alone(engine)
                _tell_the_story(project, Processes(f"http://127.0.0.1:{variables['BATUTA_PORT']}", token))
        except CheckError:
            project.show_logs()
            raise
        finally:
            _ignore_further_signals()
            project.down(with_data=True)
        left = project.left_behind()
        check(not left, f"left behind: {left}")
        say("all was taken down; nothing is left but images")


def _tell_the_story(project: Project, processes: Processes) -> None:
    project.up()
    story.check_hardening(project)
    story.complete_and_compensate(processes)
    story.watch(project, ROOT)
    story.kill_a_coordinator(project, processes)
    story.restart_the_broker(project, processes)
    story.take_down_and_up(project, processes)
    story.check_nothing_was_lost(project, processes)


def _variables(folder: Path, token_line: str) -> dict[str, str]:
    """Choose what a person would write into `.env`, and write the files of deploy/secrets.yml."""
    passwords = {name: secrets.token_hex(16) for name in _PASSWORDS}
    by_files = {
        "amqp_url": f"amqp://batuta:{passwords['RABBITMQ_PASSWORD']}@rabbitmq:5672/",
        "mongodb_url": (
            f"mongodb://batuta:{passwords['MONGODB_PASSWORD']}@mongodb:27017/?replicaSet=rs0&authSource=admin"
        ),
        "api_tokens": token_line,
    }
    folder.chmod(0o755)  # the containers' user is another one
    for name, value in by_files.items():
        file = folder / name
        file.write_text(f"{value}\n", encoding="utf-8")
        if os.geteuid() == 0:  # else nobody can give them to another user, and they stay readable for all
            os.chown(file, _UID, _UID)
            file.chmod(0o400)
    ports = {name: str(free_port()) for name in ("BATUTA_PORT", "GRAFANA_PORT")}
    return {**passwords, **ports, "SAGA_API_TOKENS": token_line, "BATUTA_SECRETS": str(folder)}


def _check_that_a_missing_password_is_told(engine: Engine, variables: dict[str, str]) -> None:
    try:
        Project(engine, ROOT, variables | {"RABBITMQ_PASSWORD": ""}).compose("config")
    except CheckError as refusal:
        check("choose one in .env" in str(refusal), f"a missing password is told by: {refusal}")
        say("a missing password is refused with a sentence")
    else:
        raise CheckError("the compose file works without passwords")


def _docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        run(["docker", "info"], within_s=_DOCKER_ANSWERS_WITHIN_S)
    except CheckError:  # the client alone may be there
        return False
    return True


def _ignore_further_signals() -> None:
    """See that what was started is taken down, also when somebody is impatient; each step has a time limit."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _end_in_good_order(*_: object) -> NoReturn:
    raise SystemExit(_ASKED_TO_END)


if __name__ == "__main__":
    sys.exit(main())
