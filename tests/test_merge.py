"""Runs split by --shard, and result files joined by `conformance merge`."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.choice import shard_of
from conformance.cli import main
from conformance.results.file import Results, Writer, read_results
from conformance.results.records import Environment

MINIATURES = Path(__file__).with_name("miniatures.py")
CASES = "loss: cross_entropy\ncases:\n" + "".join(
    f"  - {{id: c{i}, logits: [{i}.0, 0.25], target: 0, dtypes: [float32]}}\n" for i in range(14)
)
DEVIATIONS = """
deviations:
  - {trials: ["*[some_ulps_off:*"], passes: sometimes, reason: Some ulps off., review: 2020-01-02}
  - {trials: ["softmax/gone*"], reason: It was there once.}
"""
GIVEN = ["--cases", "cases.yaml"]
WRONG = ["--adapter", f"{MINIATURES}:SomeUlpsOff", "--deviations", "ours.yaml"]


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A whole run and its three parts, and a run of another target."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "cases.yaml").write_text(CASES)
    (folder / "ours.yaml").write_text(DEVIATIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call("run", "numpy", *GIVEN, "--results", "whole.jsonl")
        for i in (1, 2, 3):
            call("run", "numpy", *GIVEN, "--shard", f"{i}/3", "--results", f"{i}.jsonl")
        call("run", *WRONG, *GIVEN, "--results", "wrong.jsonl")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def essence(results: Results) -> dict[str, object]:
    return {trial.id: replace(trial, seconds=0.0) for trial in results.trials}


def change(path: str, **header: object) -> None:
    """Write a result file anew with other values in its header."""
    results = read_results(Path(path))
    with Writer(Path(path)) as writer:
        writer.write(replace(results.header, **header))
        for target, facts in results.environments.items():
            writer.write(Environment(target=target, facts=facts))
        for line in (*results.trials, results.footer):
            writer.write(line)


def test_the_part_of_a_case_depends_on_its_id_alone():
    """These numbers must never change: runs of different versions and machines share them."""
    ids = ("cross_entropy/worked_example", "softmax/offset_1e8", "kl_div/plain", "entropy/uniform")
    assert [shard_of(case, 2) for case in ids] == [2, 1, 1, 1]
    assert [shard_of(case, 7) for case in ids] == [1, 2, 6, 7]
    assert {shard_of(case, 1) for case in ids} == {1}


def test_the_parts_are_the_whole_and_share_nothing(folder):
    parts = [essence(read_results(Path(f"{i}.jsonl"))) for i in (1, 2, 3)]
    assert all(parts)
    assert sum(map(len, parts)) == 28
    assert parts[0] | parts[1] | parts[2] == essence(read_results(Path("whole.jsonl")))
    for part in parts:
        assert {f"{trial[:-1]}-gradient]" for trial in part if "gradient" not in trial} <= set(part)


def test_the_parts_joined_are_the_whole_run(folder, capsys):
    assert call("merge", "3.jsonl", "1.jsonl", "2.jsonl", "--results", "joined.jsonl") == 0
    joined, whole = read_results(Path("joined.jsonl")), read_results(Path("whole.jsonl"))
    assert joined.complete
    assert essence(joined) == essence(whole)
    assert joined.environments == whole.environments
    assert (joined.footer.counts, joined.footer.exit_status) == (whole.footer.counts, 0)
    for name in ("planned", "targets", "cases", "cases_digest", "host", "suite_version"):
        assert getattr(joined.header, name) == getattr(whole.header, name)
    assert "28 of 28 planned trials" in capsys.readouterr().out


def test_targets_are_joined_and_lists_judged_over_the_whole(folder):
    """What one run's list speaks of may be in another run."""
    results = read_results(Path("wrong.jsonl"))
    assert results.footer.stale == ["ours.yaml:4: softmax/gone*"]
    results.footer.stale.append("ours.yaml:9: softmax/x*, *[numpy:*-float32]")
    with Writer(Path("wrong.jsonl"), resume=True) as writer:
        writer.write(results.footer)
    assert call("merge", "whole.jsonl", "wrong.jsonl", "--results", "joined.jsonl") == 1
    joined = read_results(Path("joined.jsonl"))
    assert joined.header.targets == ["numpy:cpu:eager", "some_ulps_off:cpu:eager"]
    assert (len(joined.trials), joined.header.planned, joined.complete) == (56, 56, True)
    assert joined.footer.stale == ["ours.yaml:4: softmax/gone*"]
    assert joined.footer.overdue == ["ours.yaml:3: its review was due on 2020-01-02"]
    assert set(joined.environments) == set(joined.header.targets)
    alone = results.footer.counts
    assert alone["known"]
    assert joined.footer.counts == {"pass": alone["pass"] + 28, "known": alone["known"]}


def test_a_part_that_was_cut_off_leaves_the_joined_file_incomplete(folder):
    lines = Path("2.jsonl").read_text().splitlines(keepends=True)
    Path("2.jsonl").write_text("".join(lines[:4]))
    assert call("merge", "1.jsonl", "2.jsonl", "3.jsonl", "--results", "joined.jsonl") == 3
    joined = read_results(Path("joined.jsonl"))
    assert (joined.header.planned, joined.complete) == (28, False)


def test_a_run_that_was_cut_off_lacks_nothing_beside_a_whole_one(folder):
    lines = Path("whole.jsonl").read_text().splitlines(keepends=True)
    Path("cut.jsonl").write_text("".join(lines[:9]))
    assert call("merge", "cut.jsonl", "whole.jsonl", "--results", "joined.jsonl") == 0
    assert read_results(Path("joined.jsonl")).header.planned == 28


def test_what_was_run_comes_before_what_was_not(folder):
    results = read_results(Path("whole.jsonl"))
    with Writer(Path("none.jsonl")) as writer:
        for line in (results.header, *(replace(trial, verdict="not run") for trial in results.trials)):
            writer.write(line)
        writer.write(results.footer)
    for order in (["none.jsonl", "whole.jsonl"], ["whole.jsonl", "none.jsonl"]):
        assert call("merge", *order, "--results", "joined.jsonl") == 0
        assert read_results(Path("joined.jsonl")).footer.counts == {"pass": 28}


def test_parts_with_a_list_that_was_edited_between_them_stay_apart(folder, capsys):
    files = read_results(Path("2.jsonl")).header.files
    change("2.jsonl", files={**files, "adapters/ours.py": "two"})
    change("3.jsonl", files={**files, "adapters/ours.py": "three"})
    assert call("merge", "1.jsonl", "2.jsonl", "3.jsonl", "--results", "joined.jsonl") == 2
    said = "conformance: 1 problem found:\n  3.jsonl: adapters/ours.py was another one in the run of 2.jsonl\n"
    assert capsys.readouterr().err == said


def test_everything_that_keeps_files_apart_is_said_at_once(folder, capsys):
    change("2.jsonl", cases_digest="0123456789abcdef", suite_version="0.0.1")
    results = read_results(Path("wrong.jsonl"))
    results.environments["some_ulps_off:cpu:eager"]["numpy"] = "1.26.4"
    results.trials[0].verdict = "crash"
    with Writer(Path("again.jsonl")) as writer:
        for target, facts in results.environments.items():
            lines = [results.header, Environment(target=target, facts=facts), *results.trials, results.footer]
        for line in lines:
            writer.write(line)
    assert call("merge", "1.jsonl", "2.jsonl", "wrong.jsonl", "again.jsonl", "--results", "joined.jsonl") == 2
    err = capsys.readouterr().err
    assert err.startswith("conformance: 5 problems found:\n")
    for said in (
        "2.jsonl: the digest of the cases, 0123456789ab, differs from ",
        "2.jsonl: the version of the suite, 0.0.1, differs from ",
        "again.jsonl: some_ulps_off:cpu:eager ran with numpy 1.26.4 here and ",
        "1.jsonl: part 3/3 of the same run on numpy:cpu:eager is missing",
        "again.jsonl: cross_entropy/c0[some_ulps_off:cpu:eager-float32] is crash here and known in wrong.jsonl",
    ):
        assert said in err
    assert not Path("joined.jsonl").exists()


def test_machines_may_differ(folder):
    change("2.jsonl", host={**read_results(Path("2.jsonl")).header.host, "processor": "An Abacus"})
    assert call("merge", "1.jsonl", "2.jsonl", "3.jsonl", "--results", "joined.jsonl") == 0
    assert read_results(Path("joined.jsonl")).header.host["processor"].endswith(" / An Abacus")


@pytest.mark.parametrize(
    ("arguments", "message"),
    {
        "run numpy --shard 0/2": "--shard 0/2: write I/N, the part I of N parts, such as 1/4 to 4/4",
        "run numpy --shard 3/2": "--shard 3/2: write I/N",
        "run numpy --shard half": "--shard half: write I/N",
        "merge --results x.jsonl": "merge: name the result files to join",
        "merge 1.jsonl none.jsonl --results x.jsonl": "cannot read results from none.jsonl: ",
        "merge 1.jsonl": 'Command "merge" parameter --results requires an argument.',
        "run --resume joined.jsonl": "cannot resume joined.jsonl: it does not say what was asked for, as a merged file",
    }.items(),
)
def test_what_is_the_users_to_fix(folder, capsys, arguments, message):
    call("merge", "whole.jsonl", "--results", "joined.jsonl")
    given = arguments.split()
    assert call(*given, *(GIVEN if given[1] == "numpy" else [])) == 2
    assert capsys.readouterr().err.startswith(f"conformance: {message}")
