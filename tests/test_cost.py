"""What a run costs, read off counters of the system."""

from pathlib import Path

import pytest

from ketune.training import cost


def write(zone: Path, now: int, wrap: int = 999) -> None:
    zone.mkdir(exist_ok=True)
    (zone / "energy_uj").write_text(f"{now}\n")
    (zone / "max_energy_range_uj").write_text(f"{wrap}\n")


def test_energy_is_of_all_packages_and_outlives_counters_that_run_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "RAPL", tmp_path)
    first, second = tmp_path / "intel-rapl:0", tmp_path / "intel-rapl:1"
    write(first, 900)
    write(second, 100)
    write(tmp_path / "intel-rapl:0:0", 5)  # a part of the first package
    energy = cost.Energy()
    write(first, 100)  # 200 on, past 999
    write(second, 150)
    assert energy.joules() == 250 / 1e6
    write(first, 50)  # 950 on
    assert energy.joules() == 1200 / 1e6


@pytest.mark.parametrize("content", [None, "no number"])
def test_no_counter_is_no_energy(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "RAPL", tmp_path)
    if content:
        write(tmp_path / "intel-rapl:0", 1)
        (tmp_path / "intel-rapl:0/energy_uj").write_text(content)
    assert cost.Energy().joules() is None
