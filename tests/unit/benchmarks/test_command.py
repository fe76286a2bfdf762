"""The command: what it writes, what it says, and how it exits, with subjects that measure nothing."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as command
from benchmarks import results
from benchmarks.figures import BenchmarkError, Figure, Outcome
from benchmarks.subjects import Subject

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.place import Place, Size

SPEED = Figure("speed", "per second", (50.0,), "the other", (100.0,))


def well(_: Place, __: Size) -> Outcome:
    """Measure everything."""
    return Outcome([SPEED])


def partly(_: Place, __: Size) -> Outcome:
    """Leave something out, and say so."""
    return Outcome([SPEED], unmeasured=["the size: it has none"])


def badly(_: Place, __: Size) -> Outcome:
    """Measure nothing."""
    raise BenchmarkError("the server ended")


def by_accident(_: Place, __: Size) -> Outcome:
    """Fail in a way that nobody thought of."""
    raise KeyError("speed")


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Put the results elsewhere, without servers and without their versions."""
    subjects = {"well": well, "partly": partly, "badly": badly, "by-accident": by_accident}
    monkeypatch.setattr(command, "SUBJECTS", {name: Subject("", run) for name, run in subjects.items()})
    monkeypatch.setattr(command, "Place", lambda _: nullcontext())
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(command, "CHARTS", tmp_path / "charts")
    monkeypatch.setattr(command, "load_floors", lambda: {"speed": 0.4})
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(results, "_circumstances", dict)
    return tmp_path / "results.json"


def test_a_run_that_measures_everything_is_well(file: Path) -> None:
    """It exits with 0 and leaves figures and charts."""
    assert command.main(["well"]) == 0
    assert json.loads(file.read_text())["well"]["figures"][0]["ratio"] == 0.5
    assert (file.parent / "charts" / "ratios.png").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("partly", "partly: the size: it has none"),
        ("badly", "badly could not be measured: the server ended"),
        ("by-accident", "by-accident could not be measured: KeyError: 'speed'"),
    ],
)
def test_what_could_not_be_measured_is_an_error(
    name: str, sentence: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, the exit code is 1, and the other subjects are measured and kept all the same."""
    assert command.main([name, "well"]) == 1
    assert sentence in capsys.readouterr().err
    assert "well" in json.loads(file.read_text())


def test_a_ratio_below_its_floor_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names the figure, its ratio and the floor."""
    monkeypatch.setattr(command, "load_floors", lambda: {"speed": 0.6})
    assert command.main(["well"]) == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert "speed: the ratio to the other is 0.5, below the recorded 0.6" in said


def test_an_unknown_subject_is_a_mistake_of_the_caller(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started for the others."""
    with pytest.raises(SystemExit) as ended:
        command.main(["well", "beauty"])
    assert ended.value.code == 2
    assert "there is no subject beauty" in capsys.readouterr().err
