"""Hypothesis strategies: Arrow tables in every layout, and schemas their cells come close to."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

NAMES = ["a", "b", "c", "ts", "x/y~z"]

BIG = [2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**53) - 1, -(2**63)]
SMALL = [0, 1, 2, 3, 4, 5, 6, 10, -1, -2, 100]
FLOATS = [0.0, -0.0, 0.1, 0.2, 0.3, 0.07, 0.29, 4.35, 19.99, 1.0, 2.0, 2.5, -1.5, 1e15, 1e16, 1e22]
FLOATS += [1e23, 1e300, 5e-324, 1.7976931348623157e308, 9007199254740993.0, 0.1 + 0.2, 123456.789]
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
TEXTS = ["", "a", "ab", "abc", "A", "AB\n", "é", "٣", "日本", "x" * 300, "1", "true", "null", "a b"]
TEXTS += ["2020-02-30", "2020-02-29", "2020-01-01T00:00:00Z", "2020-01-01t00:00:00.5+01:00"]
TEXTS += ["2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "a@b.c", "127.0.0.1", "😀"]
TICKS = [0, 1, 999, 1000, 1_500_000, -1, 86_400, 86_400_000, 1_577_836_800_000_000, -62_167_219_200]
TICKS += [253_402_300_799, 253_402_300_800, -(2**63), 2**63 - 1, 10**15, -62_167_219_201]
DAYS = [0, 1, -1, 18_262, 2_932_896, 2_932_897, -719_528, -719_529]


def of_type(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Values that an array of that type can hold, None aside."""
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_integer(kind):
        low, high = _limits(kind)
        fitting = [value for value in SMALL + BIG if low <= value <= high]
        return st.sampled_from(fitting) | st.integers(low, high)
    if pa.types.is_floating(kind):
        width = {pa.float16(): 16, pa.float32(): 32}.get(kind, 64)
        usual = [value for value in FLOATS if width == 64 or abs(value) < 60_000]
        finite = st.floats(allow_nan=False, allow_infinity=False, width=width)
        return st.sampled_from(usual * 3 + NOT_FINITE) | finite
    if pa.types.is_decimal(kind):
        return _decimals(kind)
    if pa.types.is_timestamp(kind):
        return st.sampled_from(TICKS)
    if pa.types.is_date64(kind):
        return st.sampled_from([tick * 86_400_000 for tick in DAYS])
    if pa.types.is_date32(kind):
        return st.sampled_from(DAYS)
    return st.sampled_from(TEXTS) | st.text("ab1", max_size=4)


def _limits(kind: pa.DataType) -> tuple[int, int]:
    bits = kind.bit_width
    return (
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if pa.types.is_signed_integer(kind)
        else (0, 2**bits - 1)
    )


def _decimals(kind: pa.DataType) -> st.SearchStrategy[Decimal]:
    most = 10**kind.precision - 1
    fitting = [
        n for n in SMALL + BIG + [30, 70, 1000, 2900, 10**17, 10**25, 10**40] if abs(n) <= most
    ]
    integers = st.sampled_from(fitting) | st.integers(-most, most)
    return integers.map(lambda n: Decimal((n < 0, tuple(map(int, str(abs(n)))), -kind.scale)))


SCALARS = [
    pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(),
    pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.string_view(),
    pa.decimal32(7, 2), pa.decimal64(15, 3), pa.decimal128(38, 2), pa.decimal128(20, 0),
    pa.decimal128(5, -2), pa.decimal256(60, 4), pa.date32(), pa.date64(),
    pa.timestamp("s"), pa.timestamp("ms", "UTC"), pa.timestamp("us", "Europe/Berlin"),
    pa.timestamp("ns", "UTC"),
]  # fmt: skip


@st.composite
def arrays(draw: Any, size: int, depth: int = 2) -> pa.Array:
    """An array of `size` cells, often with nulls, often a slice of something larger."""
    before, after = draw(st.sampled_from([(0, 0), (0, 0), (1, 0), (2, 3)]))
    whole = draw(_whole(before + size + after, depth))
    return whole.slice(before, size)


@st.composite
def _whole(draw: Any, size: int, depth: int) -> pa.Array:
    shapes = ["scalar"] * 6 + ["dictionary"] * 2 + ["null"]
    shape = draw(st.sampled_from(shapes + (["list", "struct", "fixed"] if depth else [])))
    if shape == "null":
        return pa.nulls(size)
    if shape == "scalar":
        return draw(_scalars(draw(st.sampled_from(SCALARS)), size))
    nulls = draw(_nulls(size))
    mask = pa.array(nulls, type=pa.bool_())
    if shape == "dictionary":
        values = draw(_scalars(draw(st.sampled_from(SCALARS)), draw(st.integers(1, 5))))
        index = st.integers(0, len(values) - 1)
        codes = draw(st.lists(index, min_size=size, max_size=size))
        return pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32(), mask=nulls_np(nulls)), values
        )
    if shape == "struct":
        names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=2))
        children = [draw(arrays(size, depth - 1)) for _ in names]
        return pa.StructArray.from_arrays(children, names=names, mask=mask)
    if shape == "fixed":
        return pa.FixedSizeListArray.from_arrays(draw(arrays(2 * size, depth - 1)), 2, mask=mask)
    lengths = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    offsets = [sum(lengths[:i]) for i in range(size + 1)]
    items = draw(arrays(offsets[-1], depth - 1))
    large = draw(st.booleans())
    made = pa.LargeListArray if large else pa.ListArray
    return made.from_arrays(
        pa.array(offsets, pa.int64() if large else pa.int32()), items, mask=mask
    )


def nulls_np(nulls: list[bool]) -> Any:
    import numpy as np

    return np.array(nulls, dtype=np.bool_)


def _nulls(size: int) -> st.SearchStrategy[list[bool]]:
    some = st.lists(st.booleans(), min_size=size, max_size=size)
    return st.just([False] * size) | some | st.just([True] * size)


@st.composite
def _scalars(draw: Any, kind: pa.DataType, size: int) -> pa.Array:
    values = draw(st.lists(of_type(kind), min_size=size, max_size=size))
    nulls = draw(_nulls(size))
    if pa.types.is_temporal(kind):
        width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        return pa.array(values, width, mask=nulls_np(nulls)).view(kind)
    if pa.types.is_floating(kind) and draw(st.booleans()):
        # What lies under a null may be anything, a NaN for instance.
        import numpy as np

        dtype = kind.to_pandas_dtype()
        under = np.array(
            [float("nan") if null else v for v, null in zip(values, nulls, strict=True)]
        )
        return pa.array(under.astype(dtype), kind, mask=nulls_np(nulls), from_pandas=False)
    return pa.array([None if null else v for v, null in zip(values, nulls, strict=True)], kind)


@st.composite
def tables(draw: Any) -> pa.Table:
    """Up to four columns, each in chunks of its own."""
    size = draw(st.integers(0, 5))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    columns = {name: draw(_chunked(size)) for name in names}
    return pa.table(columns)


@st.composite
def _chunked(draw: Any, size: int) -> pa.ChunkedArray:
    whole = draw(arrays(size))
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=2)))
    bounds = [0, *cuts, size]
    chunks = [whole.slice(a, b - a) for a, b in pairwise(bounds)]
    return pa.chunked_array(chunks, whole.type)


# -- schemas ----------------------------------------------------------------------

NUMBERS = st.sampled_from([*SMALL, *BIG, *FLOATS])
FACTORS = st.sampled_from(
    [1, 2, 3, 5, 10, 0.1, 0.01, 0.5, 0.25, 1e-7, 1.5, 2**53 + 1, 2**63, 1e22, 1e300]
)
COUNTS = st.integers(0, 3)
PATTERNS = st.sampled_from(
    ["^a", "^[a-z]*$", "^a$", r"\d", r"^\w+$", "b|é", ".", "^.{2,3}$", r"\p{L}"]
)
FORMATS = st.sampled_from(["date-time", "date", "time", "email", "ipv4", "uri", "regex", "unknown"])
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SCALAR = st.none() | st.booleans() | NUMBERS | st.sampled_from(TEXTS)
VALUES = (
    SCALAR
    | st.lists(SCALAR, max_size=2)
    | st.dictionaries(st.sampled_from(NAMES), SCALAR, max_size=2)
)

KEYWORDS: dict[str, st.SearchStrategy[Any]] = {
    "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(VALUES, min_size=1, max_size=4),
    "const": VALUES,
    "minimum": NUMBERS,
    "maximum": NUMBERS,
    "exclusiveMinimum": NUMBERS,
    "exclusiveMaximum": NUMBERS,
    "multipleOf": FACTORS,
    "minLength": COUNTS,
    "maxLength": COUNTS,
    "pattern": PATTERNS,
    "format": FORMATS,
    "minItems": COUNTS,
    "maxItems": COUNTS,
    "uniqueItems": st.booleans(),
    "minContains": COUNTS,
    "maxContains": COUNTS,
    "minProperties": COUNTS,
    "maxProperties": COUNTS,
    "required": st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
    "dependentRequired": st.dictionaries(
        st.sampled_from(NAMES),
        st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
        max_size=2,
    ),
    "title": st.just("a note"),
}


def _applicators(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    return {
        "properties": st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        "patternProperties": st.dictionaries(
            st.sampled_from(["^[ab]", "y", "."]), inner, max_size=2
        ),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "propertyNames": inner,
        "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), inner, max_size=2),
        "items": inner,
        "prefixItems": some,
        "contains": inner,
        "unevaluatedItems": inner,
        "allOf": some,
        "anyOf": some,
        "oneOf": some,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }


@st.composite
def objects_of(draw: Any, keywords: dict[str, st.SearchStrategy[Any]], most: int) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(keywords)), max_size=most, unique=True))
    return {keyword: draw(keywords[keyword]) for keyword in chosen}


def schemas_2020() -> st.SearchStrategy[Any]:
    """Schemas of 2020-12; `$ref` leads to one of two definitions, one of which is recursive."""
    refs = {"$ref": st.sampled_from(["#/$defs/one", "#/$defs/two"])}
    flat = objects_of(KEYWORDS, 3)
    leaf = flat | st.booleans() | st.just({"$ref": "#/$defs/one"})
    inner = st.recursive(
        leaf, lambda below: objects_of({**KEYWORDS, **_applicators(below), **refs}, 3), max_leaves=6
    )
    row = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4)
        },
    )
    root = st.tuples(objects_of({**KEYWORDS, **_applicators(inner), **refs}, 4), row)
    definitions = st.fixed_dictionaries({"one": flat, "two": inner})
    return st.tuples(root, definitions, frames()).map(
        lambda drawn: {**drawn[0][0], **drawn[0][1], "$defs": drawn[1], **drawn[2]}
    )


def frames() -> st.SearchStrategy[dict[str, Any]]:
    units = st.sampled_from([{}, {"unit": "s"}, {"unit": "ms"}, {"unit": "us"}, {"unit": "ns"}])
    named = units.map(lambda unit: {"x-seamless": {"time": "ts", **unit}})
    return st.just({}) | named


def _older_applicators(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    some = st.lists(inner, min_size=1, max_size=3)
    newer = {"unevaluatedProperties", "unevaluatedItems", "prefixItems", "dependentSchemas"}
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
    return {
        **{name: drawn for name, drawn in _applicators(inner).items() if name not in newer},
        "items": inner | some,
        "additionalItems": inner,
        "dependencies": st.dictionaries(st.sampled_from(NAMES), inner | names, max_size=2),
    }


OLDER = {
    "draft-04": "http://json-schema.org/draft-04/schema#",
    "draft-06": "http://json-schema.org/draft-06/schema#",
    "draft-07": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
}


def older_schemas(draft: str) -> st.SearchStrategy[Any]:
    """Schemas of an older draft; not all are valid: draft-04 knows neither `true` nor `const`."""
    keywords = {**KEYWORDS, "required": st.lists(st.sampled_from(NAMES), min_size=1, unique=True)}
    if draft == "draft-04":
        keywords |= {"exclusiveMinimum": st.booleans(), "exclusiveMaximum": st.booleans()}
        keywords |= {"minimum": NUMBERS, "maximum": NUMBERS}
    leaf: st.SearchStrategy[Any] = objects_of(keywords, 3)
    leaf = leaf if draft == "draft-04" else leaf | st.booleans()
    inner = st.recursive(
        leaf, lambda below: objects_of({**keywords, **_older_applicators(below)}, 3), max_leaves=5
    )
    columns = st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=4)
    root = objects_of({**keywords, **_older_applicators(inner)}, 3)
    return st.tuples(root, columns, st.just(OLDER[draft])).map(
        lambda drawn: {"$schema": drawn[2], **drawn[0], "properties": drawn[1]}
    )
