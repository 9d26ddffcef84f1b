"""The museum: verdicts follow from numbers, a killed run goes on, and what is published is what was run."""

import dataclasses
import importlib
import json
import re

import numpy as np
import pytest

from rnnjax.errors import UserError
from rnnjax.museum import board, publish
from rnnjax.museum.__main__ import main
from rnnjax.museum.claims import claims
from rnnjax.museum.exhibit import Criterion, Exhibit, load, names
from rnnjax.museum.exhibits import influence_balancing
from rnnjax.museum.judge import NOT_SETTLED, REFUTED, REPRODUCED, estimate, judge, of_criterion, other_readings, verdict
from rnnjax.museum.page import made_by, quick_run, write_page
from rnnjax.museum.record import carry_out, read, results, to_json, versions
from rnnjax.museum.source import checksum
from rnnjax.museum.trials import until_solved
from rnnjax.museum.workers import Batch, side_by_side


def verdict_on(values, **criterion):
    arms = {"a": {"m": np.asarray(values)}, "b": {"m": np.zeros(len(values), np.asarray(values).dtype)}}
    return of_criterion(Criterion("", "a", "m", **criterion), arms).verdict


def test_a_verdict_follows_from_the_whole_interval():
    spread = np.linspace(9, 11, 30)  # mean 10, 95% interval 10 ± 0.23
    assert verdict_on(spread, low=9.5, high=10.5) == REPRODUCED
    assert verdict_on(spread, low=10.5) == REFUTED
    assert verdict_on(spread, low=10.5, cut_short=True) == NOT_SETTLED
    assert verdict_on(spread, low=10) == NOT_SETTLED
    assert verdict_on(spread, low=9.5, than="b") == REPRODUCED
    assert verdict_on([10.0] * 30, low=10, high=10) == REPRODUCED
    assert verdict_on([np.nan] * 30, low=10) == NOT_SETTLED
    assert verdict_on([9.0, 11.0], low=0) == NOT_SETTLED  # too few seeds for an interval
    assert verdict_on([10.0, 10.0], low=0) == NOT_SETTLED
    assert verdict_on([*spread, np.inf], low=9) == NOT_SETTLED  # a diverged network has no number to leave out


def test_a_run_cut_short_shows_what_succeeds_and_not_what_fails():
    spread = np.linspace(9, 11, 30)
    assert verdict_on(spread, low=9.5, cut_short=True) == REPRODUCED
    assert verdict_on(spread, low=9.5, cut_short=True, fails=True) == NOT_SETTLED
    assert verdict_on(spread, low=10.5, cut_short=True, fails=True) == REFUTED
    assert verdict_on(spread, low=9.5, fails=True) == REPRODUCED


def test_a_mean_without_the_trials_that_did_not_succeed_is_a_lower_bound():
    some = [*np.linspace(9, 11, 30), np.nan]
    assert verdict_on(some, low=9.5) == REPRODUCED
    assert verdict_on(some, low=9.5, until=True) == NOT_SETTLED
    assert verdict_on(some, low=10.5, until=True) == NOT_SETTLED
    assert verdict_on(some, high=9.5, until=True) == REFUTED
    assert verdict_on(some[:-1], low=9.5, until=True) == REPRODUCED


def test_another_reading_of_the_paper_has_a_verdict_of_its_own():
    is_nine, is_ten = (
        Criterion("", "a", "m", low - 0.5, low + 0.5, reading=word) for low, word in ((9, ""), (10, "b"))
    )
    judgements = [of_criterion(of, {"a": {"m": np.linspace(9, 11, 30)}}) for of in (is_nine, is_ten, is_ten)]
    assert verdict(judgements) == REFUTED
    assert other_readings(judgements) == {"b": "2 reproduced, 0 refuted, 0 not settled"}
    assert verdict(judgements[1:]) == NOT_SETTLED  # there is nothing in the settings


def test_a_quick_run_does_not_decide_what_its_short_budget_does():
    arms = {"short": {"budget": 9, "size": 3}, "other": {"budget": 9, "size": 4}, "whole": {"budget": 2, "size": 3}}
    least = {("short", ""): 8, ("whole", ""): 8, ("whole", "short"): 0.5, ("short", "other"): 0.5}
    criteria = [Criterion("", arm, "m", low, than=than) for (arm, than), low in least.items()]
    exhibit = dataclasses.replace(toy()[0], arms=arms, criteria=criteria, quick={"budget": 2}, quick_arms=("short",))
    assert exhibit.shrunk() == {"short": {"budget": 9}}
    exhibit = dataclasses.replace(exhibit, quick_arms=())

    def judged(quick, **means):
        found = {arm: {"m": np.linspace(mean - 0.1, mean + 0.1, 10)} for arm, mean in means.items()}
        return [judgement.verdict for judgement in judge(exhibit, found, quick)]

    assert judged(False, short=9, other=7, whole=10) == [REPRODUCED] * 4
    assert judged(True, short=9, other=7, whole=10) == [REPRODUCED, REPRODUCED, NOT_SETTLED, NOT_SETTLED]
    assert judged(False, short=6, other=7, whole=5) == [REFUTED] * 4
    assert judged(True, short=6, other=7, whole=5) == [NOT_SETTLED, REFUTED, NOT_SETTLED, NOT_SETTLED]
    solved_by_some = {"short": {"m": np.array([*np.linspace(9, 9.1, 10), np.nan])}}
    assert judge(exhibit, solved_by_some)[0].verdict == REPRODUCED
    assert judge(exhibit, solved_by_some, quick=True)[0].verdict == NOT_SETTLED


def test_a_quick_run_says_what_it_lacks(tmp_path):
    exhibit = dataclasses.replace(
        toy()[0],
        arms={"once": {"scale": 4000.0}, "twice": {"scale": 2.0}, "more": {"scale": 7.0}},
        quick={"scale": 2.0},
        quick_arms=("once", "twice"),
        picture=lambda figure, found: None,
    )
    record = carry_out("toy", exhibit, tmp_path / "toy.json", [0, 1, 2], True, {}, lambda text: None)
    said = "A quick run: 3 of 30 seeds; 2 of 3 arms; scale 2.0 in place of 4,000.0. Its verdict is not the museum's."
    assert quick_run(exhibit, record) == said
    write_page(exhibit, record, tmp_path, "toy")
    assert f"**Warning.** {said}" in (tmp_path / "toy.md").read_text("utf-8")
    write_page(exhibit, {**record, "quick": False}, tmp_path, "toy")
    assert "quick run" not in (tmp_path / "toy.md").read_text("utf-8")


def test_a_row_of_a_table_makes_two_claims_by_the_reading_of_its_arm():
    in_time, cut_short = (claims("T, Table 10", 74_000, budget, "Table 7") for budget in (300_000, 148_000))
    assert [(of.measure, of.low, of.high) for of in in_time] == [
        ("solved", 0.85, np.inf),
        ("sequences", 49_300, 111_000),  # two thirds of 74,000, and one and a half of it
    ]
    assert cut_short[0].low == 0.5  # half of the trials with the mean m may take more than 2 m, and no more of them
    assert [of.until for of in in_time] == [False, True]
    assert {of.reading for of in in_time} == {"Table 10's squashing"}
    assert {of.reading for of in claims("T", 74_000, 300_000, "Table 7")} == {""}


def test_arms_are_compared_by_seed_and_a_measure_that_is_not_there_is_not_run():
    record = {"arms": {"a": {"seeds": [2, 0, 1], "measures": {"m": [12.0, 10.0, "inf"]}}}}
    record["arms"]["b"] = {"seeds": [0, 2], "measures": {"m": [0.0, None], "n": [1, 2]}}
    found = results(record)
    assert found["a"]["m"].tolist() == [10, 12]
    np.testing.assert_array_equal(found["b"]["m"], [0, np.nan])
    assert results({"arms": {"a": record["arms"]["a"]}})["a"]["m"].tolist() == [10, np.inf, 12]
    assert of_criterion(Criterion("", "a", "n"), found).estimate is None
    assert to_json(np.array([1.0, np.inf, np.nan])) == [1.0, "inf", None]


def test_a_share_has_an_exact_interval_even_where_every_seed_agrees():
    assert estimate(np.ones(30, bool)).interval == pytest.approx((0.025 ** (1 / 30), 1))
    assert estimate(np.zeros(100, bool)).interval == pytest.approx((0, 1 - 0.025 ** (1 / 100)))
    assert verdict_on([True] * 5, low=0.8) == NOT_SETTLED
    assert verdict_on([True] * 30, low=0.8) == REPRODUCED
    assert verdict_on([True] * 30, low=0.5, than="b") == REPRODUCED
    assert verdict_on([False] * 30, low=0.8) == REFUTED


def toy(**changes):
    """Measures that are the seed itself, and a count of the calls."""
    calls = []

    def run(seeds, scale):
        calls.append(list(seeds))
        if len(calls) == 2 and changes.get("dies"):
            raise KeyboardInterrupt
        return {"value": seeds * scale, "nothing": np.full(len(seeds), np.nan)}

    criteria = (Criterion("it is near 3", "once", "value", 1, 5),)
    exhibit = Exhibit("A (2000). B. C", "Table 1", "c", (), {"once": {"scale": 1.0}}, run, criteria, None, batch=4)
    return exhibit, calls


def test_a_page_names_every_machine_that_ran_a_part(tmp_path):
    exhibit, _ = toy()
    here = {"machine": "Linux", "cores": 2, "device": "cpu", "python": "3.11", "packages": {"jax": "0.10"}}
    there = {**here, "cores": 16, "device": "H100"}
    for seeds, machine in (([0], here), ([0, 1], there), ([0, 1, 2], here)):
        record = carry_out("toy", exhibit, tmp_path / "toy.json", seeds, False, machine, lambda text: None)
    assert made_by(exhibit, record) == (
        "Made by `python -m rnnjax.museum toy --seeds 3`: seeds 0 to 2, on Linux (2 cores, cpu), python 3.11, "
        "jax 0.10, and on Linux (16 cores, H100), python 3.11, jax 0.10, rnnjax unknown."
    )


def test_a_page_names_the_command_of_each_part(tmp_path):
    exhibit, _ = toy()
    for first in (10, 0):
        seeds = [first, first + 1]
        record = carry_out("toy", exhibit, tmp_path / "toy.json", seeds, False, {}, lambda text: None)
    assert made_by(exhibit, record).startswith(
        "Made by `python -m rnnjax.museum toy --seeds 2` and `python -m rnnjax.museum toy --seed 10 --seeds 2`: "
        "seeds 0 to 1 and 10 to 11, on"
    )
    changed = dataclasses.replace(exhibit, run=the_same_by_other_code)
    assert made_by(changed, record).removeprefix(made_by(exhibit, record)) == " The exhibit's code has changed since."


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    path, seeds = tmp_path / "toy.json", list(range(10))
    exhibit, calls = toy(dies=True)
    with pytest.raises(KeyboardInterrupt):
        carry_out("toy", exhibit, path, seeds, False, {}, lambda text: None)
    exhibit, calls = toy()
    record = carry_out("toy", exhibit, path, seeds, False, {}, lambda text: None)
    assert calls == [[4, 5, 6, 7], [8, 9]]
    assert record == read(path)
    assert results(read(path))["once"]["value"].tolist() == list(range(10))
    assert np.isnan(results(read(path))["once"]["nothing"]).all()
    more = dataclasses.replace(exhibit, arms={"first": {"scale": 3.0}, **exhibit.arms})
    record = carry_out("toy", more, path, seeds, False, {"packages": {"rnnjax": "9.9"}}, lambda text: None)
    assert versions(record) == ["9.9", "unknown"]
    assert record["arms"]["first"]["versions"] == ["9.9"]
    assert calls[2:] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert results(record)["first"]["value"].tolist() == [3 * seed for seed in seeds]
    assert results(record)["once"]["value"].tolist() == seeds


def test_numbers_of_another_exhibit_or_other_settings_or_code_are_refused(tmp_path):
    path, (exhibit, _) = tmp_path / "toy.json", toy()
    go = lambda exhibit, name="toy", quick=False: carry_out(name, exhibit, path, [0, 1], quick, {}, lambda text: None)
    record = go(exhibit)
    with pytest.raises(UserError, match="numbers of other settings of once; move it away"):
        go(dataclasses.replace(exhibit, arms={"once": {"scale": 2.0}}))
    with pytest.raises(UserError, match="numbers of once, which toy has not; move it away"):
        go(dataclasses.replace(exhibit, arms={"another": {"scale": 1.0}}))
    with pytest.raises(UserError, match="numbers of other code of toy; move it away"):
        go(dataclasses.replace(exhibit, run=the_same_by_other_code))
    with pytest.raises(UserError, match="numbers of toy; move it away"):
        go(exhibit, "another")
    with pytest.raises(UserError, match="numbers of toy; move it away"):
        go(exhibit, quick=True)
    assert go(exhibit) == record


def the_same_by_other_code(seeds, scale):
    return {"value": scale * seeds, "nothing": np.full(len(seeds), np.nan)}


def test_a_broken_record_is_refused(tmp_path):
    path, (exhibit, _) = tmp_path / "toy.json", toy()
    record = carry_out("toy", exhibit, path, [0, 1], False, {}, lambda text: None)
    arm = record["arms"]["once"]
    broken = [{**record, "arms": of} for of in (None, [], {"once": None}, {"once": {}})]
    broken += [{**record, "arms": {"once": {**arm, "seeds": of}}} for of in (None, [0], [0, 0], ["0", "1"])]
    broken += [{**record, "arms": {"once": {**arm, "measures": of}}} for of in (None, {"value": [1]}, {"value": "ab"})]
    broken += [{name: of for name, of in record.items() if name != missing} for missing in ("exhibit", "machine")]
    for content in broken:
        path.write_text(json.dumps(content), "utf-8")
        with pytest.raises(UserError, match="no record of an exhibit; move it away"):
            read(path)


def test_a_checksum_follows_the_code_of_the_numbers_and_not_the_words(tmp_path, monkeypatch):
    code = """
from functools import partial
from rnnjax.museum.trials import until_solved
RATE = 1.0
TITLE = "a"
def run(seeds):
    return partial(step, RATE)(seeds)
def step(rate, seeds):
    "Words."
    return rate * seeds, until_solved
def draw(figure):
    return TITLE
"""
    monkeypatch.syspath_prepend(tmp_path)

    def changed(old="", new=""):
        name = f"code_{len(list(tmp_path.glob('*.py')))}"
        (tmp_path / f"{name}.py").write_text(code.replace(old, new))
        return checksum(importlib.import_module(name).run) != first

    first = ""
    assert changed()
    first = checksum(importlib.import_module("code_0").run)
    assert not any(changed(*words) for words in (("Words", "Others"), ('"a"', '"b"'), ("TITLE\n", "2 # no title\n")))
    assert all(changed(*of) for of in (("1.0", "2.0"), ("rate *", "rate +"), ("(seeds)\ndef", "(2 * seeds)\ndef")))
    assert changed("trials import until_solved", "trials import put as until_solved")
    assert changed("functools import partial", "functools import wraps as partial")  # of another package
    assert changed("def draw", "if TITLE:\n    RATE += 1\ndef draw")


@pytest.mark.slow
def test_processes_side_by_side_find_what_was_published():
    name, record = "weight_guessing", read(board.RESULTS / "weight_guessing.json")
    batches = [Batch(arm, options, [0, 1, 2]) for arm, options in load(name).arms.items()]
    for done in side_by_side(name, "cpu", 2, batches):
        assert done.measures["guesses"].tolist() == record["arms"][done.batch.arm]["measures"]["guesses"][:3]
    with pytest.raises(RuntimeError, match=r"TypeError: .* unexpected keyword argument 'no_option'"):
        list(side_by_side(name, "cpu", 2, [Batch("a", {"no_option": 1}, [0])] * 2))


def test_a_record_of_other_seeds_is_not_published(tmp_path):
    record = json.loads((board.RESULTS / "weight_guessing.json").read_text("utf-8"))
    for of in record["arms"].values():
        of["seeds"][0] = 1000
    (tmp_path / "record.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(UserError, match="must have the seeds 0 to 199 in every arm"):
        publish.publish("weight_guessing", tmp_path / "record.json")


def test_published_pages_are_what_the_published_numbers_say(tmp_path):
    publish.write_pages(tmp_path)
    for page in tmp_path.glob("*.md"):
        assert page.read_text("utf-8") == (publish.DOCS / page.name).read_text("utf-8"), page.name
    index, readme = ((publish.DOCS / "index.md").read_text("utf-8"), publish.README.read_text("utf-8"))
    verdicts = {}
    for path in board.RESULTS.glob("*.json"):
        record, exhibit = json.loads(path.read_text("utf-8")), load(path.stem)
        assert not record["quick"]
        seeds = {arm: sorted(of["seeds"]) for arm, of in record["arms"].items()}
        assert seeds == {arm: list(range(exhibit.seeds)) for arm in exhibit.arms}
        verdicts[path.stem] = verdict(judge(exhibit, results(record)))
        assert exhibit.seeds >= 30 or verdicts[path.stem] == NOT_SETTLED
        assert re.search(rf"^\| \[{path.stem}\].* \| {verdicts[path.stem]} \| \d+ \|", index, re.M), path.stem
    counts = [list(verdicts.values()).count(word) for word in (REPRODUCED, REFUTED, NOT_SETTLED)]
    line = "Verdicts so far: {} reproduced, {} refuted, {} not settled.\n".format(*counts)
    assert line in readme
    assert line in index
    for word, name in re.findall(r"\[([\w ]+)\]\(docs/museum/(?!index)(\w+)\.md\)", readme):
        assert word == verdicts[name], name


def test_every_exhibit_says_all_that_the_museum_asks_for():
    for name in names():
        exhibit = load(name)
        assert set(exhibit.quick_arms) <= set(exhibit.arms), name
        assert all(exhibit.quick.keys() <= exhibit.arms[arm].keys() for arm in exhibit.shrunk()), name
        assert {criterion.arm for criterion in exhibit.criteria} <= set(exhibit.arms), name
        assert all(setting.why for setting in exhibit.settings if setting.ours), name


def test_the_sign_of_the_sensitivity_turns_where_the_page_says():
    state, sums = np.zeros(influence_balancing.UNITS), []
    for _ in range(400):
        state = state / 2 + np.append(state[1:], 0) / 2 + influence_balancing.SIGNS
        sums.append(state[0])
    averages = np.cumsum(sums) / np.arange(1, 401)
    assert (np.argmax(np.less(sums, 0)) + 1, np.argmax(averages < 0) + 1) == (41, 110)
    assert sums[-1] == pytest.approx(-6)
    assert max(sums) == pytest.approx(16.5, abs=0.05)


@pytest.mark.slow
def test_a_wrong_sign_of_the_rate_refutes_influence_balancing():
    exhibit, seeds = influence_balancing.EXHIBIT, np.arange(30)
    chosen = {arm: exhibit.arms[arm] for arm in ("truncated at 1", "UORO")}
    assert verdicts(exhibit, chosen, seeds) == {REPRODUCED}
    wrong = {arm: {**options, "rate": -options["rate"]} for arm, options in chosen.items()}
    assert verdicts(exhibit, wrong, seeds) == {REFUTED}


@pytest.mark.slow
def test_a_flip_flop_that_has_learned_nothing_has_no_memories():
    exhibit = load("flip_flop")
    arm = {**exhibit.arms["24 units"], "updates": 1500, "starts": 300}
    learned = exhibit.run(np.arange(5), **arm)
    assert learned["memories"].tolist() == [8] * 5
    assert min(learned["edges with a saddle"]) >= 10
    untrained = {name: np.asarray(v) for name, v in exhibit.run(np.arange(5), **{**arm, "updates": 1}).items()}
    assert judge(exhibit, {"24 units": untrained})[0].verdict == REFUTED


@pytest.mark.slow
def test_a_twentieth_of_the_rate_refutes_that_lstm_learns_the_temporal_order():
    exhibit, seeds = load("lstm_1997_temporal_order"), np.arange(8)
    options = {**exhibit.arms["6a"], "budget": 45_000}
    assert exhibit.run(seeds, **options)["solved"].sum() >= 6
    wrong = exhibit.run(seeds, **{**options, "rate": options["rate"] / 20})
    assert judge(exhibit, {"6a": wrong})[0].verdict == REFUTED


@pytest.mark.slow
def test_a_lag_of_2_refutes_that_rtrl_fails_for_10():
    exhibit, seeds = load("lstm_1997_noise_free"), np.arange(8)
    fails = next(of for of in exhibit.criteria if of.arm == "RTRL, p = 10")
    short = exhibit.run(seeds, **{**exhibit.arms["RTRL, p = 10"], "p": 2, "budget": 10_000})
    assert of_criterion(fails, {"RTRL, p = 10": short}).verdict == REFUTED
    long = exhibit.run(seeds, **{**exhibit.arms["RTRL, p = 10"], "budget": 10_000})
    assert not long["solved"].any()


@pytest.mark.slow
def test_every_exhibit_runs_at_a_small_size_and_writes_its_page(tmp_path):
    small = {"budget": 1000, "steps": 400, "updates": 25, "starts": 10, "epochs": 1, "words": 1000}
    for name in set(names()) - {"shakespeare", "jsb_chorales"}:  # they fetch their data; their own tests give others
        exhibit = load(name)
        arms = {
            arm: {option: small.get(option, value) for option, value in of.items()}
            for arm, of in exhibit.plan(quick=True).items()
        }
        little = dataclasses.replace(exhibit, arms=arms, quick=None, quick_arms=())
        record = carry_out(name, little, tmp_path / f"{name}.json", [0, 1], True, {}, lambda text: None)
        for criterion in exhibit.criteria:
            if criterion.arm in arms:
                assert len(results(record)[criterion.arm][criterion.measure]) == 2, (name, criterion.claim)
        for written in write_page(little, record, tmp_path, name):
            assert (tmp_path / written).stat().st_size > 1000, written


def verdicts(exhibit, arms, seeds):
    """The verdicts on the criteria of these arms."""
    found = {arm: exhibit.run(seeds, **options) for arm, options in arms.items()}
    return {judged for criterion, _, judged in judge(exhibit, found) if criterion.arm in arms}


def test_the_door_lists_and_refuses(capsys):
    assert main([]) == 0
    assert "influence_balancing: reproduced\n" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"no exhibit reber_; there are .*influence_balancing"):
        main(["reber_"])


def test_a_trial_ends_when_it_has_solved_its_task():
    goals = np.array([3, 25, 10, 1000, 7, 10])
    states = {"goal": goals, "count": np.zeros(6, int), "sum": np.zeros(6)}

    def update(state, t):
        return {**state, "count": state["count"] + 1, "sum": state["sum"] + t}

    found = until_solved(states, update, lambda state: state["count"] >= state["goal"], budget=50, every=5)
    assert found.updates.tolist()[:3] == [5, 25, 10]
    assert found.solved.tolist() == [True, True, True, False, True, True]
    assert found.states["count"].tolist() == [5, 25, 10, 50, 10, 10]
    again = until_solved(
        found.states, update, lambda state: state["count"] > 20, budget=50, every=5, among=found.updates < 20
    )
    np.testing.assert_array_equal(again.updates, [20, np.nan, 15, np.nan, 15, 15])
    assert again.states["count"].tolist() == [25, 25, 25, 50, 25, 25]
    nobody = until_solved(states, update, lambda state: True, budget=50, every=5, among=np.zeros(6, bool))
    assert not nobody.solved.any()
    assert nobody.states["count"].tolist() == [0] * 6
    assert found.states["sum"].tolist() == [n * (n - 1) / 2 for n in (5, 25, 10, 50, 10, 10)]
