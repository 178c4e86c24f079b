"""Never "compatible" where a document breaks, never "incompatible" without one."""

from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from registry.compatibility import InvalidSchema, check_compatibility
from registry.compatibility.budget import Budget
from registry.compatibility.evaluate import Evaluator
from registry.compatibility.formula import Pool
from registry.compatibility.rules import RULES
from registry.compatibility.schemas import Schemas
from registry.compatibility.translator import Translator
from registry.validity import check_schema, is_valid
from tests.registry.compatibility.drawn_schemas import documents, mutations, roots

SOME_DOCUMENTS = st.lists(documents(), min_size=8, max_size=8)


def assume_valid(*schemas: Any) -> None:
    for schema in schemas:
        try:
            check_schema(schema)
        except InvalidSchema:
            assume(False)


def check_soundness(old: Any, new: Any, drawn: list[Any]) -> None:
    report = check_compatibility(old, new, "BACKWARD")
    if report.verdict == "compatible":
        for document in drawn:
            assert not is_valid(old, document) or is_valid(new, document)
    if report.verdict == "incompatible":
        assert report.witness is not None
        assert is_valid(old, report.witness.document)
        assert not is_valid(new, report.witness.document)
    assert (report.verdict == "not_proven") == (bool(report.reasons) and not report.witnesses)


@given(roots(), roots(), SOME_DOCUMENTS)
def test_verdicts_about_two_unrelated_schemas_hold_for_drawn_documents(
    one: tuple[Any, str], other: tuple[Any, str], drawn: list[Any]
) -> None:
    assume_valid(one[0], other[0])
    check_soundness(one[0], other[0], drawn)


@given(st.data(), roots(), SOME_DOCUMENTS)
def test_verdicts_about_a_schema_and_its_mutation_hold_for_drawn_documents(
    data: st.DataObject, root: tuple[Any, str], drawn: list[Any]
) -> None:
    schema, dialect = root
    mutated = data.draw(mutations(schema, dialect))
    assume_valid(schema, mutated)
    check_soundness(schema, mutated, drawn)
    check_soundness(mutated, schema, drawn)


@given(roots())
def test_every_schema_is_compatible_with_itself(root: tuple[Any, str]) -> None:
    assume_valid(root[0])
    assert check_compatibility(root[0], dict(root[0]), "FULL").verdict == "compatible"


@given(roots(), SOME_DOCUMENTS)
def test_the_formulas_of_a_schema_say_what_is_valid_says(
    root: tuple[Any, str], drawn: list[Any]
) -> None:
    schema, _ = root
    assume_valid(schema)
    pool, schemas = Pool(), Schemas()
    translator = Translator(pool, schemas, Budget(10**9), RULES)
    expression = translator.under(schemas.root(schema))
    evaluator = Evaluator(translator, schemas)
    for document in drawn:
        assert evaluator.valid(expression, document) in (None, is_valid(schema, document))
