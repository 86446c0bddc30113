"""Cases and arrays as the result file holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance.casefiles.case import Case
from conformance.losses import Array
from conformance.results.records import CaseInfo, ConventionInfo

_SHOWN_ELEMENTS = 64
"""Arrays up to this size are kept in full."""


def case_info(case: Case) -> CaseInfo:
    """What the result file says of a case."""
    return CaseInfo(
        loss=case.loss.name,
        title=case.title,
        why=case.why,
        source=case.source,
        tags=list(case.tags),
        where=case.where,
        convention=_convention_info(case) if case.convention else None,
        digest=case.digest,
    )


def _convention_info(case: Case) -> ConventionInfo:
    convention = case.convention
    assert convention is not None
    dtypes = {name: f" ({dtype})" for name, dtype in convention.input_dtypes.items()}
    arrays = {name: x.astype(convention.input_dtypes.get(name, x.dtype)) for name, x in case.inputs.items()}
    if case.cotangent is not None:
        arrays["upstream gradient"] = case.cotangent
    asked = f"gradient with respect to {case.wrt}" if convention.output == "gradient" else "value"
    return ConventionInfo(
        name=convention.name,
        topic=convention.topic,
        question=convention.question,
        asked=f"{asked}, no option passed" if convention.bare else asked,
        output=convention.output,  # type: ignore[arg-type]
        inputs={name + dtypes.get(name, ""): shown(x) for name, x in arrays.items()},
        options={
            name + dtypes.get(name, ""): shown(x) if isinstance(x, np.ndarray) else x
            for name, x in case.options.items()
        },
        outcomes={name: str(outcome) for name, outcome in convention.outcomes.items()},
    )


def shown(x: Array) -> Any:
    """A small array as nested lists; of a large one its shape and first elements, as text."""
    if x.size <= _SHOWN_ELEMENTS:
        return x.tolist()
    return f"shape {x.shape}: {', '.join(f'{v:.6g}' for v in x.flat[:6])}, ..."
