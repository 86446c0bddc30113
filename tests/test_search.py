"""The search: it finds what is wrong, nothing where nothing is, tells defects apart, and can be repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import find, settings
from hypothesis.errors import NoSuchExample

from conformance.casefiles.case import Case, Question, questions
from conformance.casefiles.load import load_cases
from conformance.cli import main
from conformance.judge.reference import reference
from conformance.judge.verdict import judge
from conformance.losses import LOSSES
from conformance.search.equation import DoesNotApply, Measured, shifted
from conformance.search.failures import Failure, failure
from conformance.search.findings import Finding, build, case_file
from conformance.search.hunt import Attempt, TimeIsUp
from conformance.search.laws import LAWS
from conformance.search.session import nearer
from conformance.search.settled import flushed, open_point, settled_by
from conformance.search.strategies import entries
from conformance.targets.answer import Answer

MINIATURES = Path(__file__).with_name("miniatures.py")


@pytest.fixture
def search(tmp_path, monkeypatch, capfd):
    """`conformance search` with a miniature on its cross entropy: status, output, and the case files found."""
    monkeypatch.chdir(tmp_path)

    def command(name: str, *arguments: str, loss: str = "cross_entropy") -> tuple[int, str, list[Path]]:
        with pytest.raises(SystemExit) as caught:
            main(["search", "--adapter", f"{MINIATURES}:{name}", "--loss", loss, *arguments])
        out, err = capfd.readouterr()
        return caught.value.code, out + err, sorted(Path("conformance-findings").glob("*/*.yaml"))

    return command


def test_a_right_implementation_gives_no_finding(search):
    status, out, found = search("Faithful", "--examples", "150", "--seed", "1")
    assert (status, found) == (0, []), out
    assert "faithful:cpu:eager       150" in out


DEFECTS = {
    "upstream gradient ignored": ("IgnoresUpstreamGradient", "gradient", set()),
    "smoothing over K - 1": ("SmoothingOverKMinus1", "value", {"label_smoothing"}),
    "mean over N with weights": ("MeanOverNWithWeights", "value", {"weight", "reduction mean"}),
}


def used(case: Case) -> set[str]:
    return {key if key != "reduction" else f"reduction {x}" for key, x in case.options.items()}


@pytest.mark.parametrize(("name", "output", "needed"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_is_found_shrunk_and_written_as_a_case_that_fails(search, name, output, needed):
    status, _, found = search(name, "--examples", "60", "--seed", "1")
    assert status == 1
    path, case = next((path, case) for path in found for case in load_cases([path]) if needed <= used(case))
    assert path.stem.startswith(f"cross_entropy_{output}")
    assert case.inputs["logits"].size <= 12
    with pytest.raises(SystemExit) as caught:
        main(["run", "--adapter", f"{MINIATURES}:{name}", "--cases", str(path), "--results", "r.jsonl"])
    assert caught.value.code == 1
    assert path.with_suffix(".py").read_text().startswith("# no script: the adapter")


def test_what_is_found_already_is_counted_and_not_repeated(search):
    def reported(out: str) -> set[str]:
        return {line for line in out.splitlines() if line.startswith("new on")}

    status, first, found = search("IgnoresUpstreamGradient", "--examples", "40", "--seed", "1")
    assert status == 1
    _, second, _ = search("IgnoresUpstreamGradient", "--examples", "40", "--seed", "1")
    assert not reported(first) & reported(second)
    assert f"as {found[0]}" in second


def test_the_laws_alone_find_what_contradicts_itself(search):
    status, _, found = search("IgnoresUpstreamGradient", "--examples", "60", "--seed", "1", "--laws-only")
    assert status == 1
    assert any('why: "The law gradient_is_linear does not hold."' in path.read_text() for path in found)


def test_a_search_goes_on_from_the_failing_example_that_it_was_cut_off_at(search, monkeypatch):
    def until_time_is_up(attempt, *failed):
        if attempt.finding is not None:
            raise TimeIsUp
        return wanted(attempt, *failed)

    one = ("MeanOverNWithWeights", "--examples", "1", "--seed", "2")
    assert search(*one)[0] == 0, "the example that a search starts with does not fail by itself"
    wanted = Attempt._wanted
    with monkeypatch.context() as patched:
        patched.setattr(Attempt, "_wanted", until_time_is_up)
        status, _, (cut_off,) = search("MeanOverNWithWeights", "--examples", "60", "--seed", "1")
    assert status == 1
    cut_off.unlink()
    assert search(*one)[0] == 1


@pytest.fixture
def profile():
    """Loads a profile of hypothesis' settings until the end of the test."""
    before = settings.get_current_profile_name()
    yield settings.load_profile
    settings.load_profile(before)


def test_the_same_seed_gives_the_same_findings(search):
    def texts() -> dict[str, str]:
        status, _, found = search("IgnoresUpstreamGradient", "--examples", "40", "--seed", "7")
        assert status == 1
        return {path.name: path.read_text() for path in found}

    first = texts()
    Path("conformance-findings").rename("other")
    assert texts() == first


def test_the_examples_are_drawn_by_the_seed_whatever_profile_hypothesis_has_loaded(search, profile, monkeypatch):
    asked = Attempt.__call__

    def drawn(name: str, seed: str) -> list[str]:
        def keep(attempt, example):
            seen.append(repr(example))
            return asked(attempt, example)

        seen: list[str] = []
        profile(name)
        monkeypatch.setattr(Attempt, "__call__", keep)
        assert search("Faithful", "--examples", "22", "--seed", seed)[0] == 0
        return seen

    assert drawn("ci", "1") == drawn("default", "1")
    assert drawn("ci", "1") != drawn("ci", "2")


def test_the_same_seed_draws_the_same_inputs():
    def drawn(seed: int) -> list[str]:
        seen: list[str] = []
        offer = dict.fromkeys(LOSSES["cross_entropy"].options, ())

        def keep(entry) -> bool:
            seen.append(repr(entry))
            return False

        with pytest.raises(NoSuchExample):
            find(entries("cross_entropy", offer), keep, settings=settings(max_examples=30, database=None),
                 random=Random(seed))  # noqa: S311 # fmt: skip
        return seen

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_a_listed_deviation_is_recognised(search, tmp_path):
    Path("ours.yaml").write_text(
        "loss: cross_entropy\ncases:\n  - {id: smoothed, logits: [[0.1, 0.2, 0.3]], target: [2], "
        "options: {label_smoothing: 0.1, reduction: none}}\n"
    )
    Path("known.yaml").write_text(
        "deviations:\n  - {trials: ['cross_entropy/smoothed[*'], reason: Spreads it over K - 1.}\n"
    )
    known = ("--cases", "ours.yaml", "--deviations", "known.yaml")
    _, out, _ = search("SmoothingOverKMinus1", "--examples", "60", "--seed", "1", *known)
    assert "as known.yaml:2" in out
    assert "float32 (label_smoothing): inaccurate" not in out
    assert "float64 (label_smoothing): inaccurate" not in out


def test_a_crash_is_a_finding(search):
    status, out, found = search("DiesOnNaN", "--examples", "150", "--seed", "1", loss="sigmoid")
    assert status == 1, out
    assert "crash" in found[0].read_text()


def test_the_search_stops_on_time_and_is_quiet_without_a_terminal(search):
    status, out, _ = search("Faithful", "--time", "2s")
    assert status == 0
    assert len(out.splitlines()) == 2


BAD = {
    "unknown loss": (["--loss", "hinge"], "unknown loss hinge: the losses are softmax, "),
    "time without number": (["--time", "soon"], "--time soon: write a number of seconds, or 90s, 5m, 1h"),
    "no time": (["--time", "0s"], "--time 0s: write a number"),
    "unknown target": (["tourch"], "unknown target 'tourch'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD.values(), ids=BAD)
def test_bad_usage_ends_with_status_2(capfd, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(["search", *arguments])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err


def test_without_hypothesis_the_command_says_what_to_install(tmp_path):
    (tmp_path / "hypothesis.py").write_text(
        "raise ModuleNotFoundError('No module named hypothesis', name='hypothesis')"
    )
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom conformance.cli import main\nmain(['search'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "conformance: search needs hypothesis: pip install 'loss-conformance[search]'",
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_drawn_is_a_case(loss):
    """Nearly all of it, and with one right answer; a search that draws nonsense is idle."""
    offer = dict.fromkeys(LOSSES[loss].options, ())
    counts = {"drawn": 0, "cases": 0, "asked": 0, "settled": 0}

    def look(entry) -> bool:
        counts["drawn"] += 1
        case = build(loss, entry)
        if case is not None and case.inputs[case.loss.wrt].size < 1000:
            counts["cases"] += 1
            for output in case.outputs:
                question = Question(case, case.dtypes[0], output)
                counts["asked"] += 1
                counts["settled"] += not open_point(question) and settled_by(question, reference(question))
        return False

    with pytest.raises(NoSuchExample):
        find(entries(loss, offer), look, settings=settings(max_examples=60, database=None), random=Random(1))  # noqa: S311
    assert counts["cases"] > 0.8 * counts["drawn"]
    assert counts["settled"] > 0.5 * counts["asked"]


class TestLaws:
    """Every law holds for the reference, applies to something, and fails for an answer that breaks it."""

    BASE = {
        "softmax": {"logits": [[0.5, -1.0, 2.0], [0.25, 0.0, 1.0]]},
        "cross_entropy": {"logits": [[0.5, -1.0, 2.0], [0.25, 0.0, 1.0]], "target": [2, 0]},
        "soft": {
            "logits": [[0.5, -1.0, 2.0], [0.25, 0.0, 1.0]],
            "target": [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]],
        },
        "soft_margin_loss": {"logits": [0.5, -1.0], "target": [1.0, -1.0]},
    }

    def questions(self):
        for name, inputs in self.BASE.items():
            loss = LOSSES["cross_entropy" if name == "soft" else name]
            arrays = {key: np.asarray(x) for key, x in inputs.items()}
            for reduction in ("none", "mean") if "reduction" in loss.options else ("",):
                case = Case("law", loss, arrays, {"reduction": reduction} if reduction else {})
                yield from questions([case], ("float32", "float64"))

    @pytest.mark.parametrize("name", LAWS)
    def test_it_holds_for_right_answers_and_not_for_wrong_ones(self, name):
        applied = broken = 0
        for question in self.questions():
            asked = []

            def right(part, asked=asked):
                expected = reference(part)
                asked.append(part)
                return Measured(expected.value.astype(np.longdouble), expected.bound)

            try:
                assert LAWS[name](right, question).holds(question.dtype), question.trial_id("reference")
            except DoesNotApply:
                continue
            applied += 1
            seen = []

            def wrong(part, seen=seen, right=right):
                measured = right(part)
                seen.append(part)
                off = 0.5 * (1 + np.arange(measured.value.size)).reshape(measured.value.shape)
                return Measured(measured.value + (off if len(seen) == 1 else 0), measured.bound)

            broken += not LAWS[name](wrong, question).holds(question.dtype)
        assert applied
        assert broken == applied


def test_defects_are_told_apart_by_signature_features_and_severity():
    plain = Failure("softmax", "value", "single", "inaccurate", frozenset())
    offset = Failure("softmax", "value", "single", "inaccurate", frozenset({"offset"}))
    slight = Failure("softmax", "value", "single", "slightly inaccurate", frozenset({"offset"}))
    half = Failure("softmax", "value", "half", "inaccurate", frozenset({"offset"}))
    assert plain.explains(offset)
    assert not offset.explains(plain)
    assert not slight.explains(offset)
    assert offset.explains(slight)
    assert not plain.explains(half)


def test_conventions_are_no_finding():
    def of(loss, inputs, output="value", **options):
        arrays = {name: np.asarray(x) for name, x in inputs.items()}
        return open_point(Question(Case("x", LOSSES[loss], arrays, options), "float32", output))

    inf, nan = np.inf, np.nan
    assert of("softmax", {"logits": [-inf, -inf]}) == "all_minus_inf"
    assert of("softmax", {"logits": [inf, 0.0]}) == "infinite_logit"
    assert of("softmax", {"logits": [-inf, 0.0]}) == ""
    rows = {"logits": [[0.0, 1.0]], "target": [-100]}
    assert of("cross_entropy", rows, reduction="mean") == "zero_total_weight"
    assert of("cross_entropy", rows, reduction="sum") == ""
    hidden = {"logits": [[nan, 1.0], [0.0, 1.0]], "target": [-100, 0]}
    assert of("cross_entropy", hidden, reduction="mean", ignore_index=-100) == ""
    assert of("cross_entropy", {"logits": [[-inf, 1.0]], "target": [[0.0, 1.0]]}) == "zero_times_infinity"
    assert of("kl_div", {"log_probs": [[-inf]], "target": [[0.0]]}) == "zero_times_infinity"
    assert of("binary_cross_entropy_with_logits", {"logits": [inf], "target": [1.0]}) == "infinite_logit"
    assert of("self_information", {"probs": [0.5, 1e-38]}) == "subnormal_probability"
    assert of("self_information", {"probs": [0.0, nan, inf, 2e-38]}) == ""


def test_a_subnormal_input_may_be_flushed():
    case = Case("x", LOSSES["self_information"], {"probs": np.asarray([1e-39])}, {})
    zeroed = flushed(Question(case, "float32", "value"))
    assert zeroed is not None
    assert reference(zeroed).value == np.inf
    assert flushed(Question(case, "float64", "value")) is None


def test_an_input_may_be_flushed_in_one_element_and_not_in_another():
    case = Case("x", LOSSES["self_information"], {"probs": np.asarray([1e-39, 1e-39])}, {})
    question = Question(case, "float32", "value")
    kept, zeroed = reference(question), reference(flushed(question))

    def verdict(*values):
        answer = Answer("ok", array=np.asarray(values, dtype=np.float32))
        return judge(question, answer, nearer(answer, kept, zeroed), None).verdict

    assert verdict(np.inf, kept.value[1]) == "pass"
    assert verdict(np.inf, 103.97) == "mismatch"


def test_what_is_raised_says_itself_which_defect_it_is():
    def raised(message, **options):
        question = Question(Case("x", LOSSES["softmax"], {"logits": np.zeros(3)}, options), "float32", "value")
        return failure(question, judge(question, Answer("error", message=message), None, None))

    known = raised("RuntimeError: no kernel for uint8", axis=0)
    assert known.explains(raised("RuntimeError: no kernel for int32"))
    assert not known.explains(raised("RuntimeError: no backward"))


def test_a_shift_counts_only_where_the_dtype_holds_it_exactly():
    def question(number):
        return Question(Case("x", LOSSES["softmax"], {"logits": np.asarray([number, 0.5])}, {}), "float64", "value")

    assert shifted(question(0.25), "logits", 64.0).inputs["logits"].tolist() == [64.25, 64.5]
    for inexact in (-0.7, 1e-12):
        with pytest.raises(DoesNotApply):
            shifted(question(inexact), "logits", 64.0)


def test_a_finding_is_written_so_that_it_is_read_back_bit_for_bit(tmp_path):
    logits = np.asarray([[0.1, -np.inf, np.nan], [1e-40, 3.0e38, -0.0]], dtype=np.float32).astype(np.float64)
    inputs = {"logits": logits, "target": np.asarray([2, 255], dtype=np.uint8)}
    options = {"reduction": "sum", "ignore_index": 255, "weight": np.asarray([0.3, 1.0, 2.0])}
    case = Case("x", LOSSES["cross_entropy"], inputs, options, cotangent=np.asarray(-0.7), layout={"logits": "sliced"})
    question = Question(case, "float32", "gradient")
    judgement = judge(question, Answer("error", message="RuntimeError: no"), reference(question), None)
    finding = Finding("torch:cpu:eager", question, judgement, failure(question, judgement))
    path = tmp_path / "f.yaml"
    path.write_text(case_file(finding, "again", 3))
    (read,) = load_cases([path])
    again = Question(read, "float32", "gradient")
    for name, x in question.inputs.items():
        np.testing.assert_array_equal(again.inputs[name], x, strict=True)
    assert np.signbit(again.inputs["logits"][1, 2])
    assert again.options["weight"].tobytes() == question.options["weight"].tobytes()
    assert again.cotangent.tobytes() == question.cotangent.tobytes()
    assert (read.layout, read.options["ignore_index"], read.dtypes) == ({"logits": "sliced"}, 255, ("float32",))
    assert "with seed 3: error: RuntimeError: no" in path.read_text()
