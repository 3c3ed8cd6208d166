import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ninefold.spec.data import Database, RaggedArray
from ninefold.spec.errors import InputError
from ninefold.spec.operators import OPERATORS
from ninefold.spec.signature import (
    Bound,
    Layout,
    Limit,
    Operator,
    Option,
    Ragged,
    Record,
    Resident,
    Shards,
    Tensor,
)


def database(rows: int = 5, dimensions: int = 4) -> Database:
    nits = np.zeros((rows, (dimensions + 1) // 2), np.uint8)
    return Database({"nits": nits}, {"rows": rows, "dimensions": dimensions, "scale": 1.0, "mode": "tanh"})


def refused(message: str, operator: str, arguments: dict[str, Any], **options: Any) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        OPERATORS[operator].bind(arguments, options)


X = np.zeros((2, 3), np.float32)
NITS = np.zeros((2, 3), np.int8)
SEARCH = {"q": np.zeros((1, 4), np.float32), "database": database()}


def test_bind_fills_defaults_and_settles_sizes() -> None:
    call = OPERATORS["mine"].bind({"q": np.zeros((2, 4), np.float32), "database": database()})
    plain = {"scan": "nits", "oversample": 32, "macro": None, "micro": None}
    assert dict(call.options) == {"k": 10, "threshold": None, "rerank": None, **plain}
    assert dict(call.sizes) == {"Q": 2, "D": 4, "N": 5}
    assert call.with_options(k=3).options["k"] == 3


def test_leading_axes_may_be_any() -> None:
    for shape in [(3,), (2, 3), (2, 2, 3)]:
        assert OPERATORS["quantise"].bind({"x": np.zeros(shape, np.float32)}, {"scale": 1}).sizes["D"] == 3


@pytest.mark.parametrize(
    ("message", "operator", "arguments", "options"),
    [
        ("x must be an array, not list", "quantise", {"x": [1.0]}, {"scale": 1}),
        (
            "x must have dtype float32 or float64 or float16 or complex64 or complex128, not int64",
            "quantise",
            {"x": np.zeros((1, 1), np.int64)},
            {"scale": 1},
        ),
        ("x must not contain NaN", "quantise", {"x": np.array([[1, np.nan]], np.float32)}, {"scale": 1}),
        (
            "x must not contain NaN",
            "quantise",
            {"x": np.array([[complex(0, np.nan)]])},
            {"scale": 1, "mode": "linear"},
        ),
        ("x must have shape (..., D), not ()", "quantise", {"x": np.float32(1)}, {"scale": 1}),
        ("complex x needs mode linear, not tanh", "quantise", {"x": X + 0j}, {"scale": 1}),
        ("quantise needs the option scale", "quantise", {"x": X}, {}),
        ("scale must be a number, finite and greater than 0, not 0", "quantise", {"x": X}, {"scale": 0}),
        ("scale must be a number, finite and greater than 0, not nan", "quantise", {"x": X}, {"scale": float("nan")}),
        ("scale must be a number, finite and greater than 0, not inf", "quantise", {"x": X}, {"scale": float("inf")}),
        ("mode must be one of tanh, linear, not 'cubic'", "quantise", {"x": X}, {"scale": 1, "mode": "cubic"}),
        ("D must be 1 to 4096, not 0", "quantise", {"x": np.zeros((1, 0), np.float32)}, {"scale": 1}),
        ("D must be 1 to 4096, not 4097", "quantise", {"x": np.zeros((1, 4097), np.float32)}, {"scale": 1}),
        ("quantise option must be one of scale, mode, not 'k'", "quantise", {"x": X}, {"scale": 1, "k": 2}),
        ("quantise argument must be one of x, not 'y'", "quantise", {"y": X}, {"scale": 1}),
        ("quantise needs the argument x", "quantise", {}, {"scale": 1}),
        ("q must be -4 to 4, not 5", "similarity", {"q": NITS + np.int8(5), "c": NITS}, {}),
        ("c must be -4 to 4, not -5", "similarity", {"q": NITS, "c": NITS - np.int8(5)}, {}),
        ("c must have D = 3, not 2 (shape (1, 2))", "similarity", {"q": NITS, "c": np.zeros((1, 2), np.int8)}, {}),
        ("k must be an integer from 1 to 256, not 0", "topk", {"scores": NITS.astype(np.int32)}, {"k": 0}),
        ("k must be an integer from 1 to 256, not 257", "topk", {"scores": NITS.astype(np.int32)}, {"k": 257}),
        ("k must be an integer from 1 to 256, not 2.5", "topk", {"scores": NITS.astype(np.int32)}, {"k": 2.5}),
        ("k must be an integer from 1 to 256, not True", "topk", {"scores": NITS.astype(np.int32)}, {"k": True}),
        ("scores must not contain NaN", "topk", {"scores": np.full((1, 1), np.nan, np.float32)}, {"k": 1}),
        ("ids must have N = 3, not 2 (shape (2,))", "topk",
         {"scores": NITS.astype(np.int32), "ids": np.arange(2)}, {"k": 1}),
        ("database must be a database, not int", "mine", {"q": X, "database": 3}, {}),
        ("database has D = 4 where the other arguments have 3", "mine", {"q": X, "database": database()}, {}),
        ("macro needs micro too: both choose the lists that are searched", "mine", SEARCH, {"macro": 3}),
        ("micro needs macro too: both choose the lists that are searched", "mine", SEARCH, {"micro": 3}),
        ("macro and micro need a database with clusters; this one has no order, starts, macro, micro", "mine",
         SEARCH, {"macro": 3, "micro": 2}),
        ("macro must be an integer from 1 to 64, not 65", "mine", SEARCH, {"macro": 65, "micro": 1}),
        ("scan must be one of nits, signs, not 'bits'", "mine", SEARCH, {"scan": "bits"}),
        ("rows kept by the scan of signs, k * rerank * oversample, must be 1 to 8192, not 16384", "mine",
         SEARCH, {"scan": "signs", "k": 64, "rerank": 4, "oversample": 64}),
        ("allowed must have ceil(N / 8) = 1, not 2 (shape (2,))", "mine",
         {**SEARCH, "allowed": np.zeros(2, np.uint8)}, {}),
        ("allowed has a bit set for row 5 or above, and the database has 5 rows", "mine",
         {**SEARCH, "allowed": np.full(1, 32, np.uint8)}, {}),
        ("rerank * k must be 1 to 256, not 400", "mine",
         {"q": np.zeros((1, 4), np.float32), "database": database()}, {"k": 100, "rerank": 4}),
    ],
)  # fmt: skip
def test_refusals(message: str, operator: str, arguments: dict[str, Any], options: dict[str, Any]) -> None:
    refused(message, operator, arguments, **options)


@pytest.mark.parametrize("scale", [1e-50, 1e39])
def test_a_scale_that_float32_cannot_hold_is_refused(scale: float) -> None:
    with pytest.raises(InputError, match=r"scale must be .* \(normal float32\)"):
        OPERATORS["quantise"].bind({"x": X}, {"scale": scale})


def test_every_operator_is_named_after_its_module_and_documented() -> None:
    for name, operator in OPERATORS.items():
        assert operator.name == name
        assert operator.summary.endswith(".")
        assert all(a.doc for a in operator.arguments)
        assert all(o.doc for o in operator.options)
        assert all(r.doc for r in operator.results)


def test_the_contract_carries_the_operators_that_come_later() -> None:
    """Stateful, float and complex operators and records are only more data: nothing in the contract is edited."""
    lattice = Layout(
        "lattice",
        (Tensor("psi", ("L",), ("complex64",), doc="amplitude"),),
        (Option("extent", int, Option.REQUIRED, low=1),),
        {"extent": "L"},
    )
    bound = Bound("relative", 1e-6, reason="float32 sums in another order")
    running = Operator(
        name="wave_step",
        summary="One step of a wave.",
        arguments=(
            Resident("field", "state", lattice),
            Tensor("emitters", ("L",), ("complex64",)),
            Record("places", (Tensor("x", ("B",), ("float32",)), Ragged("links", "B", Tensor("", ("M",), ("uint8",))))),
        ),
        options=(Option("dt", float, 0.1, positive=True), Option("shape", int, (1,), low=1, high=9, many=(1, 3))),
        results=(Tensor("psi", ("L",), ("complex64",), tolerance=bound),),
        limits=(Limit("2 * L", lambda sizes, _: 2 * sizes["L"], 2, 64),),
        stateful=True,
        family="wave",
    )
    state = lattice.state("wave", {"psi": np.zeros(8, np.complex64)}, {"extent": 8})
    places = {"x": np.zeros(3, np.float32), "links": RaggedArray(np.zeros(4, np.uint8), np.array([0, 1, 1, 4]))}
    arguments = {"field": state, "emitters": np.zeros(8, np.complex64), "places": places}
    call = running.bind(arguments, {"shape": [2, 4]})
    assert call.state() is state
    assert call.options == {"dt": 0.1, "shape": (2, 4)}
    assert call.sizes == {"L": 8, "B": 3, "M": 4}
    assert len(places["links"]) == 3
    assert len(places["links"][2]) == 3
    assert state.next({"psi": np.ones(8, np.complex64)}).version == 1
    assert state.nbytes == 64
    assert running.accuracy == "psi relative <= 1e-06"
    for message, changed, options in (
        ("emitters must have L = 8, not 7 (shape (7,))", {"emitters": np.zeros(7, np.complex64)}, {}),
        ("places must hold 'links'; it holds x", {"places": {"x": places["x"]}}, {}),
        ("places may hold x, links, not 'y'", {"places": {**places, "y": 3}}, {}),
        ("places.links must be a RaggedArray, not list", {"places": {**places, "links": []}}, {}),
        ("shape must be 1 to 3 integers from 1 to 9, not (2, 4, 9, 9)", {}, {"shape": (2, 4, 9, 9)}),
        ("shape must be 1 to 3 integers from 1 to 9, not (0,)", {}, {"shape": (0,)}),
        ("shape must be 1 to 3 integers from 1 to 9, not '12'", {}, {"shape": "12"}),
        ("shape must be 1 to 3 integers from 1 to 9, not 3", {}, {"shape": 3}),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
            running.bind({**arguments, **changed}, options)
    with pytest.raises(InputError, match="2 \\* L must be 2 to 8, not 16"):
        replace(running, limits=(Limit("2 * L", lambda sizes, _: 2 * sizes["L"], 2, 8),)).bind(arguments)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 1, 4], "links must have 4 offsets for 3 lists, not 3"),
        ([0, 2, 1, 4], "the offsets of links must ascend from 0 to 4, the number of its values"),
        ([1, 1, 1, 4], "the offsets of links must ascend from 0 to 4, the number of its values"),
        ([0, 1, 1, 3], "the offsets of links must ascend from 0 to 4, the number of its values"),
        ([0, -1, 1, 4], "links.offsets must be at least 0, not -1"),
    ],
)
def test_ragged_offsets(offsets: list[int], message: str) -> None:
    lists = Ragged("links", "B", Tensor("", ("M",), ("uint8",)))
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        lists.check(RaggedArray(np.zeros(4, np.uint8), np.array(offsets, np.int64)), {"B": 3})
    lists.check(RaggedArray(np.zeros(0, np.uint8), np.array([0], np.int64)), {"B": 0})


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (
            lambda: Tensor("psi", ("L",), ("float32", "complex64"), low=0),
            "psi may not have a range: complex64 numbers have no order",
        ),
        (lambda: Tensor("x", ("D", "..."), ("int8",)), "x may have '...' only as its first axis, not in (D, ...)"),
        (lambda: Bound("taxicab", 1.0, "x"), "measure must be one of absolute, relative, ulp, cosine, not 'taxicab'"),
        (lambda: Bound("ulp", float("nan"), "x"), "limit must be a number above 0, not nan"),
        (lambda: Bound("ulp", 1.0, ""), "reason must say why the result cannot be exact"),
        (
            lambda: Operator("o", "", (Tensor("x", (), ("int8",)),), (), stateful=True),
            "o must take one state, not none",
        ),
        (
            lambda: Operator("o", "", (Tensor("x", (), ("int8",)),) * 2, ()),
            "o has two of the argument or option x",
        ),
        (lambda: Operator("o", "", (), (), family="fourier"), "family of o must be one of"),
        (
            lambda: Operator("o", "", (), (), shards=Shards("N", "vote")),
            "merge of o must be one of ranked, staged, not 'vote'",
        ),
        (
            lambda: Operator("o", "", (Tensor("x", ("N",), ("int8",)),), (), shards=Shards("N", "ranked", ("mask",))),
            "masks of o must be among x, not 'mask'",
        ),
        (
            lambda: Operator("o", "", (), (), shards=Shards("N", "ranked", lists=("order", "starts"))),
            "lists of o must be among none, not 'order'",
        ),
    ],
)
def test_inconsistent_definitions_are_refused(define: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        define()


def test_what_an_answer_must_be() -> None:
    call = OPERATORS["topk"].bind({"scores": np.zeros((2, 5), np.int32)}, {"k": 3})
    good = {"ids": np.zeros((2, 3), np.int64), "scores": np.zeros((2, 3), np.int32), "count": np.full(2, 3)}
    assert call.operator.answer_flaw(call, good) == ""
    for changed, message in (
        ({"ids": np.zeros((2, 3), np.int32)}, "ids must have dtype int64, not int32"),
        ({"ids": np.zeros((2, 4), np.int64)}, "ids must have k = 3, not 4 (shape (2, 4))"),
        ({"ids": np.zeros((1, 3), np.int64)}, "ids must have Q = 2, not 1 (shape (1, 3))"),
        ({"ids": np.full((2, 3), -2)}, "ids must be at least -1, not -2"),
        ({"count": np.full(2, 257)}, "count must be 0 to 256, not 257"),
        ({"more": 1}, "it holds ids, scores, count, more, not ids, scores, count"),
    ):
        assert call.operator.answer_flaw(call, {**good, **changed}) == message
    assert call.operator.answer_flaw(call, {**good, "count": np.full(2, 257)}, contents=False) == ""
    flat = OPERATORS["quantise"].bind({"x": np.zeros((2, 1, 3), np.float32)}, {"scale": 1})
    wrong = {"nits": np.zeros((1, 2, 3), np.int8)}
    assert flat.operator.answer_flaw(flat, wrong) == "nits must have shape (2, 1, 3), not (1, 2, 3)"


def test_the_digest_names_the_content() -> None:
    assert database().digest == database().digest
    assert database().digest != database(rows=6).digest
    changed = database()
    changed.arrays["nits"][0, 0] = 1
    assert changed.digest != database().digest
    assert database().nbytes == 10
    with pytest.raises(InputError, match="the database has no 'vectors', only nits"):
        database().require("vectors")
