"""Packages of another's operator, written into a folder for a test."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Final

from ninefold.spec import operators
from ninefold.spec.signature import Operator

__all__ = ["COUNTER", "PARITY", "added", "written"]

#: A package whose operator says whether each row has an odd sum.
PARITY: Final = {
    "signature": """
        from ninefold.spec.signature import Operator, Tensor
        OPERATOR = Operator(
            name="parity", summary="Say whether the sum of each row is odd.",
            arguments=(Tensor("x", ("N", "D"), ("int64",), doc="numbers"),),
            results=(Tensor("odd", ("N",), ("int8",), 0, 1, doc="1 where the sum is odd"),), rows="N")
        """,
    "golden": """
        import numpy as np
        def run(call):
            return {"odd": np.array([sum(row) % 2 for row in call.arguments["x"].tolist()], np.int8)}
        """,
    "cpu": """
        import numpy as np
        from ninefold.spec.data import Answer
        RATING = 5
        def run(device, call):
            return Answer({"odd": (call.arguments["x"].sum(axis=1) & 1).astype(np.int8)}, "numpy", {"seconds": 0.0})
        """,
    "cases": """
        import numpy as np
        from ninefold.spec.operators import OPERATORS
        def cases(generator):
            for rows in (0, 1, 7):
                yield f"{rows} rows", OPERATORS["parity"].bind({"x": generator.integers(-9, 9, (rows, 5))})
        """,
}
#: A package whose operator adds to counters that live on the device.
COUNTER: Final = {
    "signature": """
        from ninefold.spec.signature import Layout, Operator, Option, Resident, Tensor
        COUNTS = Layout("counts", (
            Tensor("count", ("C",), ("int64",), low=0, doc="events of each class"),
            Tensor("last", (), ("int64",), low=-1, doc="class of the last event"),
        ), (Option("classes", int, Option.REQUIRED, low=1),), {"classes": "C"})
        OPERATOR = Operator(
            name="tally", summary="Count events by class.",
            arguments=(Tensor("events", ("N",), ("int64",), low=0, doc="classes"), Resident("counts", "state", COUNTS)),
            results=(Tensor("total", (), ("int64",), low=0, doc="number of all events so far"),), stateful=True)
        """,
    "golden": """
        import numpy as np
        def step(call):
            state = call.state()
            count, last = state.arrays["count"].copy(), state.arrays["last"]
            for event in call.arguments["events"].tolist():
                count[event] += 1
                last = np.int64(event)
            return {"total": np.int64(sum(count.tolist()))}, {"count": count, "last": last}
        """,
    "cpu": """
        import numpy as np
        from ninefold.spec.data import Answer
        def step(device, call):
            state, events = call.state(), call.arguments["events"]
            count = state.arrays["count"] + np.bincount(events, minlength=call.sizes["C"])
            last = events[-1] if len(events) else state.arrays["last"]
            following = state.next({"count": count, "last": last})
            return Answer({"total": count.sum()}, "numpy", {"seconds": 0.0}, following)
        """,
    "cases": """
        import numpy as np
        from ninefold.sim.conformance import Sequence, Step
        from ninefold.spec.operators import OPERATORS
        def cases(generator):
            operator = OPERATORS["tally"]
            arrays = {"count": np.zeros(4, np.int64), "last": np.int64(-1)}
            state = operator.layout_of("counts").state("tally", arrays, {"classes": 4})
            steps = tuple(Step({"events": generator.integers(0, 4, n)}) for n in (3, 0, 1, 20))
            yield "four steps", Sequence(operator, state, steps)
        """,
}


def written(folder: Path, name: str, modules: Mapping[str, str], **changed: str) -> Path:
    """Write a package and return its folder; `changed` replaces modules."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text('"""An operator of a third party."""\n')
    for module, source in {**modules, **changed}.items():
        (package / f"{module}.py").write_text(dedent(source))
    return package


@contextmanager
def added(package: Path) -> Iterator[Operator]:
    """Add the operator of a package, and remove it and its modules afterwards."""
    operator = operators.add(package)
    try:
        yield operator
    finally:
        operators.remove(operator.name)
        sys.path.remove(str(package.resolve().parent))
        for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
            del sys.modules[name]
