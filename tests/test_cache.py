"""What is kept between runs: found again, never for another question, and no hindrance when it is broken."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conformance import cache as cache_module
from conformance import references
from conformance import requests as requests_module
from conformance.cache import Cache, user_cache
from conformance.casefiles.case import questions
from conformance.casefiles.load import builtin_files, load_cases
from conformance.errors import CaseError, DeviationError
from conformance.judge import lists as lists_module
from conformance.judge.declared import Declaration
from conformance.judge.deviations import Entry, load_deviations
from conformance.judge.lists import load_lists
from conformance.judge.reference import reference
from conformance.references import References
from conformance.requests import Requests
from conformance.targets.answer import request
from conformance.targets.worker import request_for

ACCURACY = (("float32", (1.0, 1.0, 1.0)),)
CASES = """
loss: cross_entropy
cases:
  - {id: a, logits: [[0.1, 0.2], [13.0, 0.3]], target: [0, 1], printed: 0.5, steps: {m: [1.5]}}
  - {id: b, logits: [[0.1, 0.2], [13.0, 0.3]], target: [0, 1], options: {reduction: none}}
"""


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES)
    return path


@pytest.fixture
def store(tmp_path):
    """A cache of its own for each use, on the same file."""
    return lambda: Cache(tmp_path / "kept" / "store.lmdb")


def forbid(*_):
    raise AssertionError("computed again")


def count(path: Path) -> int:
    return cache_module._open(path).stat()["entries"]


def get_all(file: Path, cache: Cache, accuracy):
    found = References({}, cache)
    return [found.get(question, accuracy) for question in questions(load_cases([file]))]


@pytest.mark.parametrize("accuracy", [(), ACCURACY])
def test_a_reference_is_found_again_bit_for_bit(file, store, monkeypatch, accuracy):
    cache = store()
    first = get_all(file, cache, accuracy)
    cache.save()
    monkeypatch.setattr(references, "required", forbid)
    monkeypatch.setattr(references, "grade", forbid)
    for old, new in zip(first, get_all(file, store(), accuracy), strict=True):
        for name in ("value", "remainder", "bound", "sharp"):
            np.testing.assert_array_equal(getattr(old, name), getattr(new, name), strict=True)


@pytest.mark.parametrize("accuracy", [(), ACCURACY])
def test_a_kept_reference_is_the_one_that_is_computed(file, store, accuracy):
    asked = questions(load_cases([file]))
    computed = [reference(question, accuracy) for question in asked]
    assert any(np.any(one.remainder) for one in computed)
    for one, kept in zip(computed, get_all(file, store(), accuracy), strict=True):
        for name in ("value", "remainder", "bound", "sharp"):
            np.testing.assert_array_equal(getattr(one, name), getattr(kept, name), strict=True)


def test_nothing_is_kept_without_saving_or_without_a_place(file, store, monkeypatch):
    get_all(file, store(), ())
    get_all(file, Cache(), ())
    monkeypatch.setattr(references, "required", forbid)
    for cache in (store(), Cache()):
        with pytest.raises(AssertionError, match="computed again"):
            get_all(file, cache, ())


@pytest.mark.parametrize(
    "change",
    [
        ("0.2], [13.0", "0.25], [13.0"),
        ("target: [0, 1], printed", "target: [1, 1], printed"),
        ("printed: 0.5", "cotangent: 0.5"),
        ("[[0.1, 0.2], [13.0, 0.3]], target: [0, 1], printed", "[0.1, 0.2, 13.0, 0.3], target: 0, printed"),
        ("printed", "options: {label_smoothing: 0.1}, printed"),
        ("loss: cross_entropy", "loss: nll_loss"),
    ],
)
def test_another_question_has_another_key(file, store, change):
    def keys() -> set[bytes]:
        cache = store()
        get_all(file, cache, ())
        return set(cache._new)

    before = keys()
    text = CASES.replace(*change).replace("logits", "log_probs" if "nll_loss" in change[1] else "logits")
    assert text != CASES
    file.write_text(text)
    assert len(keys() - before) >= len(before) // 2, "case a is asked anew"


def test_another_loss_of_the_same_inputs_has_another_key(file, store):
    cache = store()
    for loss in ("softmax", "log_softmax"):
        file.write_text(f"loss: {loss}\ncases: [{{id: a, logits: [0.1, 0.2]}}]\n")
        get_all(file, cache, ())
    assert len(cache._new) == 2 * 2 * 4 * 2


def test_dtypes_outputs_and_accuracies_are_kept_apart(file, store):
    cache = store()
    get_all(file, cache, ())
    plain = len(cache._new)
    assert plain == 2 * 2 * 4 * 2
    get_all(file, cache, ACCURACY)
    get_all(file, cache, (("float32", (2.0, 1.0, 1.0)),))
    assert len(cache._new) == 2 * plain


def request_keys(cache: Cache, file: Path) -> set[bytes]:
    Requests(questions(load_cases([file])), cache).make_ready(lambda: False)
    return set(cache._new)


def test_a_kept_request_is_the_one_that_is_made(store, monkeypatch):
    cases = load_cases(builtin_files(), user_cache())
    asked = questions([case for case in cases if sum(x.nbytes for x in case.inputs.values()) < 10_000])
    cache = store()
    made = [Requests([question], cache).take(1)[0] for question in asked]
    cache.save()
    monkeypatch.setattr(requests_module, "given", forbid)
    kept = Requests(asked, store())
    for question, before in zip(asked, made, strict=True):
        assert kept.take(1) == [before]
        output, data = before[1]
        assert repr(request_for(pickle.loads(data), output)) == repr(request(question))  # noqa: S301 - made here


@pytest.mark.parametrize(
    "change",
    [
        ("0.2], [13.0", "0.25], [13.0"),
        ("printed: 0.5", "cotangent: 0.5"),
        ("id: a", "id: a, grad: false"),
        ("id: a", "id: a, layout: {logits: strided}"),
        ("id: a", "id: a, options: {label_smoothing: 0.1}"),
        ("loss: cross_entropy", "loss: nll_loss"),
    ],
)
def test_another_case_has_another_request(file, store, change):
    before = request_keys(store(), file)
    text = CASES.replace(*change).replace("logits", "log_probs" if "nll_loss" in change[1] else "logits")
    assert text != CASES
    file.write_text(text)
    assert len(request_keys(store(), file) - before) >= len(before) // 2, "that of case a is made anew"


def test_value_and_gradient_share_a_request_and_dtypes_do_not(file, store):
    cache = store()
    assert len(request_keys(cache, file)) == 2 * 4
    (_, value), (_, gradient) = Requests(questions(load_cases([file])), cache).take(2)
    assert value[1] is gradient[1]


def test_requests_come_in_order_and_those_given_back_first(file):
    asked = questions(load_cases([file]))
    requests = Requests(asked, Cache())
    first = requests.take(3)
    requests.make_ready(lambda: False)
    requests.give_back(first[1:])
    assert requests
    assert [question for question, _ in requests.take(4)] == asked[1:5]
    assert [*requests.rest()] == asked[5:]
    assert not requests
    assert requests.take(1) == []


def test_no_request_is_taken_before_it_is_wanted(file):
    taken = []
    requests = Requests((taken.append(question) or question for question in questions(load_cases([file]))), Cache())
    for count in range(1, 4):
        assert requests
        assert len(taken) == count
        assert requests.take(1)[0][0] is taken[-1]
        assert len(taken) == count


def test_requests_are_made_ready_until_there_is_something_else_to_do(file):
    asked = questions(load_cases([file]))
    requests = Requests(asked, Cache())
    spoken = iter([False, False, True])
    requests.make_ready(lambda: next(spoken))
    assert [question for question, _ in requests._ready] == asked[:2]


def test_no_more_bytes_are_made_ready_or_go_out_together_than_said(file, monkeypatch):
    asked = questions(load_cases([file]))
    size = len(Requests(asked, Cache()).take(1)[0][1][1])
    monkeypatch.setattr(requests_module, "_AHEAD", 2 * size + 1)
    requests = Requests(asked, Cache())
    requests.make_ready(lambda: False)
    assert len(requests._ready) == 3
    assert len(requests.take(100)) == 3
    monkeypatch.setattr(requests_module, "_AHEAD", 1)
    assert len(requests.take(100)) == 1, "a single one may have more"


def test_large_requests_are_not_kept(tmp_path, store):
    file = tmp_path / "large.yaml"
    file.write_text("loss: softmax\ncases: [{id: a, logits: {generator: constant, shape: [200000], value: 0.5}}]\n")
    cache = store()
    request_keys(cache, file)
    kept = [pickle.loads(data)["inputs"]["logits"][0] for data in cache._new.values()]  # noqa: S301 - made here
    assert kept == ["float16", "bfloat16"], "with its upstream gradient, float32 takes 1.6 MB"


LISTED = """deviations:
  - trials: ["a*", b]
    when: {torch: ">=2.5"}
    reason: >-
      Two
      lines.
    review: 2027-01-01
"""
DECLARED = "declared:\n  - {cases: [a], outcome: nan, says: So., link: 'https://example.org'}\n"


@pytest.mark.parametrize(("text", "key", "kind"), [(LISTED, "deviations", Entry), (DECLARED, "declared", Declaration)])
def test_a_list_is_found_again(tmp_path, store, monkeypatch, text, key, kind):
    path, problems = tmp_path / "list.yaml", []

    def load(cache):
        return load_lists([path], key, kind, problems, cache)

    path.write_text(text)
    read = load(cache := store())
    cache.save()
    with monkeypatch.context() as patched:
        patched.setattr(lists_module, "checked", forbid)
        assert load(store()) == read
        (entry,) = read
        assert (entry.where, type(entry), problems) == (f"{path}:2", kind, [])
        path.write_text(f"\n{text}")
        with pytest.raises(AssertionError, match="computed again"):
            load(store())
    assert load(store())[0].where == f"{path}:3"


def test_a_list_with_a_fault_is_not_kept(tmp_path, store):
    path = tmp_path / "list.yaml"
    path.write_text("deviations:\n  - {trials: [a], reason: r}\n  - {trials: [a]}\n")
    for _ in range(2):
        cache = store()
        with pytest.raises(DeviationError, match=r":3: deviations\.1\.reason: missing"):
            load_deviations([path], cache)
        assert not cache._new
        cache.save()


def test_parsed_cases_are_found_again(file, store, monkeypatch):
    cache = store()
    (first, second) = load_cases([file], cache)
    cache.save()
    monkeypatch.setattr("conformance.casefiles.read.read_file", forbid)
    (again, _) = load_cases([file], store())
    assert (again.id, again.printed, again.steps, again.where) == (first.id, 0.5, {"m": [1.5]}, first.where)
    assert again.loss is first.loss is second.loss
    np.testing.assert_array_equal(again.inputs["logits"], first.inputs["logits"], strict=True)
    file.write_text(CASES + "\n")
    with pytest.raises(AssertionError, match="computed again"):
        load_cases([file], store())


def test_a_faulty_file_is_read_anew_each_time(file, store):
    file.write_text(CASES.replace("target: [0, 1]", "target: [0, 7]"))
    for _ in range(2):
        cache = store()
        with pytest.raises(CaseError, match="label 7 is out of range"):
            load_cases([file], cache)
        cache.save()


@pytest.mark.parametrize("left", [0, 100, 4096, 8192, 20000])
def test_a_store_that_was_cut_off_is_made_anew(file, store, tmp_path, left):
    cache = store()
    get_all(file, cache, ())
    cache.save()
    path = tmp_path / "cut" / "store.lmdb"
    path.parent.mkdir()
    path.write_bytes((tmp_path / "kept" / "store.lmdb").read_bytes()[:left])
    cache = Cache(path)
    get_all(file, cache, ())
    cache.save()
    assert count(path) == 32


def test_a_file_that_is_no_store_is_replaced(file, tmp_path):
    path = tmp_path / "store.lmdb"
    path.write_bytes(b"no database" * 1000)
    cache = Cache(path)
    get_all(file, cache, ())
    cache.save()
    assert count(path) == 32


LARGE = """
loss: softmax
cases:
  - {id: a, logits: {generator: normal, shape: [40, 100], seed: 1}, dtypes: [float32]}
  - {id: small, logits: [0.1, 0.2]}
"""


def test_arrays_outlive_their_cache_and_large_ones_stay_in_the_store(file, store, monkeypatch):
    file.write_text(LARGE)
    cache = store()
    (case, _) = load_cases([file], cache)
    first = get_all(file, cache, ())
    cache.save()
    monkeypatch.setattr("conformance.casefiles.read.read_file", forbid)
    monkeypatch.setattr(references, "required", forbid)
    cache = store()
    (again, small) = load_cases([file], cache)
    found = References({}, cache)
    kept = [found.get(question, ()) for question in questions([again, small])]
    assert not again.inputs["logits"].flags.owndata
    assert not again.inputs["logits"].flags.writeable
    del cache, found
    for i in range(20):  # pages that nobody needs any more are used again
        busy = store()
        for size in (100, 100_000):
            busy.put(f"{i} {size}".encode(), bytes([i]) * size)
        busy.save()
    np.testing.assert_array_equal(case.inputs["logits"], again.inputs["logits"], strict=True)
    for old, new in zip(first, kept, strict=True):
        np.testing.assert_array_equal(old.value, new.value, strict=True)
        np.testing.assert_array_equal(old.bound, new.bound, strict=True)


def test_a_folder_that_cannot_be_written_is_no_hindrance(file, tmp_path):
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "store.lmdb")
    assert len(get_all(file, cache, ())) == 16
    cache.save()


def test_what_another_run_has_kept_stays(file, store, tmp_path):
    first, second = store(), store()
    for cache in (first, second):
        get_all(file, cache, ())
        cache.save()
    assert count(tmp_path / "kept" / "store.lmdb") == 32


def test_a_store_that_nobody_else_may_read_is_no_hindrance(file, store):
    first = get_all(file, store(), ())
    readers = [store() for _ in range(200)]  # more than there are places for
    assert readers[-1]._found is None
    for one, other in zip(first, get_all(file, readers[-1], ()), strict=True):
        np.testing.assert_array_equal(one.value, other.value, strict=True)


def test_a_run_that_was_killed_while_it_wrote_does_no_harm(file, store, tmp_path):
    script = f"""
import lmdb, os
writing = lmdb.open({str(tmp_path / "kept" / "store.lmdb")!r}, subdir=False, map_size=2**30).begin(write=True)
writing.put(b"half", b"written" * 10_000)
os.kill(os.getpid(), 9)
"""
    (tmp_path / "kept").mkdir()
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    cache = store()
    get_all(file, cache, ())
    cache.save()
    assert count(tmp_path / "kept" / "store.lmdb") == 32


def test_where_the_store_is(monkeypatch, tmp_path):
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "here"))
    user_cache()
    monkeypatch.setattr(cache_module, "suite_digest", lambda: "of another version")
    user_cache()
    assert len(list((tmp_path / "here").glob("*.lmdb"))) == 2
    monkeypatch.setenv("CONFORMANCE_CACHE", "")
    assert user_cache()._store is None


def test_stores_of_old_versions_are_forgotten(tmp_path):
    for i in range(6):
        Cache(tmp_path / f"{i}.lmdb")
    assert len(list(tmp_path.glob("*.lmdb"))) == 2
    assert (tmp_path / "5.lmdb").exists()
