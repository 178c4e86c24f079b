import pytest
from seamless_walk import WalkSource

from coordinator.coverage import CoverageRange
from provider.sources import InvalidSourceSettings, SourceEnvironment
from provider.sources.suite import SourceSuite


class TestWalk(SourceSuite):
    time, unit = "ts", "s"
    span = CoverageRange(0, 600)
    keys = ({"symbol": "A"}, {"symbol": "B"})

    @pytest.fixture
    def source(self) -> WalkSource:
        return WalkSource(7)


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidSourceSettings):
        WalkSource.from_settings({"seed": "x"}, SourceEnvironment())
