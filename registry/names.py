"""What subjects, bundles, consumers and nodes may be called."""

import re

NAME_RULE = (
    "1 to 200 letters, digits and . _ - (starting with a letter or digit), as in market.ohlcv"
)
NODE_ID_RULE = (
    "1 to 300 letters, digits and . _ - : / (starting with a letter or digit, "
    "no empty or dotted part), as in ohlcv:binance:BTC/USDT:1m"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,299}")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_node_id(text: str) -> bool:
    parts = re.split("[:/]", text)
    return _NODE_ID.fullmatch(text) is not None and not any(p in {"", ".", ".."} for p in parts)
