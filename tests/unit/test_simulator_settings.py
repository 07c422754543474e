"""The simulator reads its settings from the environment, and the README names every one."""

from pathlib import Path

import pytest

from simulator.settings import VARIABLES, Settings

README = Path(__file__).resolve().parents[2] / "simulator" / "README.md"


def test_settings_come_from_the_environment_and_empty_means_unset() -> None:
    settings = Settings.from_environment(
        {"SIMULATOR_PORT": "8900", "SIMULATOR_TOKENS": "a, b,", "SIMULATOR_MAX_IN_FLIGHT": "", "HOME": "/root"}
    )
    assert settings.port == 8900
    assert settings.tokens == {"a", "b"}
    assert settings.max_in_flight is None


def test_a_figure_that_is_none_is_refused() -> None:
    for variable, nonsense in (
        ("SIMULATOR_SPEED", "fast"),
        ("SIMULATOR_SPEED", "0"),
        ("SIMULATOR_FSYNC", "maybe"),
        ("SIMULATOR_RENDER", "never"),
    ):
        with pytest.raises(ValueError, match=variable):
            Settings.from_environment({variable: nonsense})


@pytest.mark.parametrize("variable", VARIABLES)
def test_every_variable_is_documented(variable: str) -> None:
    assert f"`{variable}`" in README.read_text(encoding="utf-8")
