"""What a source that is off its node's grid declares: how its rows become bars."""

from collections.abc import Mapping
from typing import Any

from provider.sources.settings import one_of

FLOOR_LAST, FLOOR_MEAN = "floor+last", "floor+mean"


def alignment_of(settings: Mapping[str, Any]) -> str:
    """`align` of the settings of a source or a live feed; "" where none is declared.

    Raises InvalidSourceSettings.
    """
    if settings.get("align") is None:
        return ""
    return one_of(settings, "align", (FLOOR_LAST, FLOOR_MEAN), "")
