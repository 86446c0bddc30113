"""The example in adapters/README.md, with a kernel to stand in for the reader's."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.results.file import read_results

README = Path(__file__).parents[1] / "adapters/README.md"
CASES = Path(__file__).parents[1] / "cases/cross_entropy.crossed.yaml"
KERNEL = """
import numpy as np

__version__ = "1.0"


def _parts(logits, target, ignore_index):
    kept = target != ignore_index
    shifted = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    return kept, np.where(kept, target, 0), shifted, total


def forward(logits, target, *, ignore_index=-100, reduction="mean"):
    kept, labels, shifted, total = _parts(logits, target, ignore_index)
    losses = np.where(kept, np.log(total[:, 0]) - shifted[np.arange(len(labels)), labels], 0).astype(logits.dtype)
    return losses if reduction == "none" else losses.sum() / losses.dtype.type(kept.sum() if reduction == "mean" else 1)


def backward(cotangent, logits, target, *, ignore_index=-100, reduction="mean"):
    kept, labels, shifted, total = _parts(logits, target, ignore_index)
    found = np.exp(shifted) / total
    found[np.arange(len(labels)), labels] -= 1
    found = np.where(kept[:, None], found * np.broadcast_to(cotangent, kept.shape)[:, None], 0)
    return (found / (kept.sum() if reduction == "mean" else 1)).astype(logits.dtype)
"""


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """Verdicts of the example with that kernel, by output, on cases with every option."""
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (example,) = [code for code in examples if "my_kernel" in code]
    (tmp_path / "fused.py").write_text(example)
    monkeypatch.chdir(tmp_path)

    def run(kernel: str) -> Counter[tuple[str, str]]:
        (tmp_path / "my_kernel.py").write_text(kernel)
        with pytest.raises(SystemExit):
            main(
                [
                    "run",
                    "--adapter",
                    "fused.py:Fused",
                    "--cases",
                    str(CASES),
                    "--dtype",
                    "float32",
                    "--results",
                    "r.jsonl",
                ]
            )
        return Counter((trial.output, trial.verdict) for trial in read_results(Path("r.jsonl")).trials)

    return run


def test_the_example_is_judged_by_what_it_can_do(tried):
    found = tried(KERNEL)
    assert {verdict for _, verdict in found} == {"pass", "unsupported"}
    assert found["gradient", "pass"] >= 5
    assert found["gradient", "unsupported"] >= 2


def test_a_wrong_backward_pass_of_the_example_is_found(tried):
    right, wrong = tried(KERNEL), tried(KERNEL.replace("np.broadcast_to(cotangent, kept.shape)", "np.ones(kept.shape)"))
    assert wrong["gradient", "mismatch"] > right["gradient", "pass"] / 2  # where the upstream gradient is not 1
    assert wrong["value", "pass"] == right["value", "pass"]
