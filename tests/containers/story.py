"""What the deployment is put through, in order, and what must hold after each step."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.containers.project import ROLES, SERVERS
from tests.containers.telling import CheckError, check, say, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.containers.client import Processes
    from tests.containers.project import Project

_MANY = 60
_IN_HAND = 10
_ENDED_WITHIN_S = 90
_EMPTY_WITHIN_S = 15
_SCRAPED_WITHIN_S = 60
_GRACE_S = 15
_UID = "10001"


def check_hardening(project: Project, services: Iterable[str] = (*SERVERS, *ROLES)) -> None:
    """See from inside of each container that it can change nothing but its data."""
    for service in services:
        status = project.inside(service, "cat", "/proc/1/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        user = facts["Uid"].split()[0]
        check(user == _UID if service in ROLES else user != "0", f"{service} runs as user {user}")
        check(int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0, f"{service} has capabilities")
        check(facts["NoNewPrivs"] == "1", f"{service} may gain privileges")
        check(_refusal_to_write(project, service), f"{service} can write to its root")
    say(f"none of {', '.join(services)} runs as root, has a capability, or can write to its root")


def complete_and_compensate(processes: Processes) -> None:
    """Drive one process each way, over the published port."""
    check(processes.status_without_token() == 401, "somebody without a token was let in")
    status = processes.start(wait_s=10)
    check(status == "completed", f"a process is {status} after ten seconds, not completed")
    status = processes.start(fail_at="indexing", wait_s=10)
    check(status == "compensated", f"a process is {status} after ten seconds, not compensated")
    say("one process completed, one was compensated; without a token nobody is let in")


def watch(project: Project, root: Path) -> None:
    """Let Prometheus read all servers, and ask it everything that the dashboard asks."""
    check_hardening(project, project.up_with_monitoring())
    project.inside("prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml")
    took = wait_for(
        lambda: _asked(project, 'sum(up{job="batuta"})').startswith("{} => 3 "),
        within_s=_SCRAPED_WITHIN_S,
        what="Prometheus reads the API and both coordinators",
    )
    dashboard = json.loads((root / "deploy/grafana/dashboards/batuta.json").read_text(encoding="utf-8"))
    questions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for question in questions:
        _asked(project, question.replace("$__rate_interval", "5m"))
    check(_asked(project, "sum(saga_transitions_total)"), "Prometheus has not counted a transition")
    say(
        f"Prometheus reads three servers ({took:.1f} s); it takes all {len(questions)} queries of the dashboard"
    )


def kill_a_coordinator(project: Project, processes: Processes) -> None:
    """Kill one in the middle of the work; the other one takes over."""
    with processes.starting_all_along():
        wait_for(lambda: processes.unended() >= _IN_HAND, within_s=_ENDED_WITHIN_S, what="there is work")
        project.kill("coordinator-1")
        open_then = processes.unended()
        check(open_then, "nothing was in hand when the coordinator was killed: the check shows nothing")
    took = _all_ended(processes)
    say(
        f"coordinator-1 was killed with {open_then} processes open; "
        f"all ended {took:.1f} s after the last start"
    )
    project.start("coordinator-1")
    project.wait_until_healthy(["coordinator-1"])


def restart_the_broker(project: Project, processes: Processes) -> None:
    """Stop the broker in the middle of the work; starts are accepted while it is away."""
    with processes.starting_all_along():
        wait_for(lambda: processes.unended() >= _IN_HAND, within_s=_ENDED_WITHIN_S, what="there is work")
        before = len(processes)
        project.stop("rabbitmq")
        code = project.exit_code("rabbitmq")
        check(code == 0, f"the broker ended with {code}")
        open_then = processes.unended()
        project.start("rabbitmq")
        project.wait_until_healthy(["rabbitmq"])
        accepted = len(processes) - before
    check(open_then, "nothing was in hand when the broker stopped: the check shows nothing")
    took = _all_ended(processes)
    say(
        f"the broker was stopped with {open_then} processes open; {accepted} more were accepted "
        f"until it was back, and all ended {took:.1f} s later"
    )


def take_down_and_up(project: Project, processes: Processes) -> None:
    """Stop everything in the middle of the work and make all containers anew, with secrets from files now."""
    processes.start_many(_MANY)
    open_then = processes.unended()
    check(open_then, "nothing was in hand when everything was stopped: the check shows nothing")
    began_at = time.monotonic()
    project.compose("stop", *ROLES)
    took = time.monotonic() - began_at
    project.compose("stop")
    codes = {service: project.exit_code(service) for service in (*ROLES, *SERVERS)}
    check(not any(codes.values()), f"not every container ended by itself: {codes}")
    check(took < len(ROLES) * _GRACE_S, f"the roles took {took:.1f} s to stop")
    shown = project.environment("api")
    check("amqp://" in shown, "the environment shows no address, so that the next check shows nothing")
    project.down(with_data=False)
    say(f"all roles ended by SIGTERM with exit code 0 within {took:.1f} s, {open_then} processes open")
    project.take_secrets_from_files()
    project.up()
    shown = " ".join(map(project.environment, ROLES))
    check("amqp://" not in shown, "a secret that comes from a file is shown by the environment")
    took = _all_ended(processes)
    say(f"made anew from the same volumes, secrets from files; all processes ended within {took:.1f} s")


def check_nothing_was_lost(project: Project, processes: Processes) -> None:
    """Look at every process, its log and its projection, and at every queue."""
    processes.check_ends()
    replayed = processes.replay()
    check(replayed == len(processes), f"{len(processes)} were accepted, but {replayed} could be replayed")
    # A process may have ended while an answer that came twice was still on its way.
    wait_for(lambda: not _full_queues(project), within_s=_EMPTY_WITHIN_S, what="all queues are empty")
    say(
        f"nothing was lost: {len(processes)} accepted, each ended rightly, "
        "logs and projections agree, queues are empty"
    )


def _refusal_to_write(project: Project, service: str) -> bool:
    try:
        project.inside(service, "touch", "/usr/written")
    except CheckError as refusal:
        return "Read-only file system" in str(refusal)
    return False


def _asked(project: Project, question: str) -> str:
    """Give Prometheus' answer now. Raises CheckError where the question is none."""
    return project.inside("prometheus", "promtool", "query", "instant", "http://127.0.0.1:9090", question)


def _full_queues(project: Project) -> list[str]:
    listed = project.inside("rabbitmq", "rabbitmqctl", "--quiet", "list_queues", "name", "messages")
    return [line for line in listed.splitlines()[1:] if line.split()[1:] not in ([], ["0"])]


def _all_ended(processes: Processes) -> float:
    return wait_for(
        lambda: processes.unended() == 0, within_s=_ENDED_WITHIN_S, what="every process has ended"
    )
