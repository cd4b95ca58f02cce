import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import optuna
import pytest

from affinage.records.question import Arm, Choice, Question, Span
from affinage.records.study import Job, Trial
from affinage.store.trial_queue import MOST_DEATHS, TrialQueue, job_of

QUESTION = Question(
    question="?", sources=("photos",), arms=(Arm(name="a", settings=()), Arm(name="b", settings=())),
    nuisance=(Span(key="lr", low=1e-4, high=1.0, log=True), Choice(key="how", values=("x", "y"))),
)  # fmt: skip
POINTS = tuple((("lr", 0.01 * (1 + i)), ("how", "x")) for i in range(8))
JOBS = tuple(Job(arm=arm, point=point, repeat=0) for point in range(8) for arm in (0, 1))

WORKER = """
    import sys, time
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from affinage.records.study import Trial
    from affinage.store.trial_queue import TrialQueue
    from store.test_trial_queue import JOBS, POINTS, QUESTION

    queue = TrialQueue(Path({folder!r}), QUESTION, sign=1)
    queue.add(JOBS, POINTS)
    while (taken := queue.take()) is not None:
        number, job = taken
        print(job.key, flush=True)
        time.sleep({pause})
        queue.tell(number, job, Trial(job=job, state="complete", score=0.5, seconds=0.1))
    queue.close()
"""


def a_worker(folder, pause):
    tests = str(Path(__file__).resolve().parents[1])
    code = textwrap.dedent(WORKER.format(tests=tests, folder=str(folder), pause=pause))
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def queue(tmp_path):
    opened = TrialQueue(tmp_path, QUESTION, sign=1)
    yield opened
    opened.close()


def end(queue, job, number, score=0.5):
    queue.tell(number, job, Trial(job=job, state="complete", score=score, seconds=1.5))


def test_a_job_is_added_once_and_taken_once(queue):
    assert queue.add(JOBS, POINTS) == len(JOBS)
    assert queue.add(JOBS, POINTS) == 0
    taken = []
    while (one := queue.take()) is not None:
        taken.append(one[1])
    assert sorted(taken) == sorted(JOBS)


def test_how_a_trial_ended_is_read_by_others(queue, tmp_path):
    queue.add(JOBS[:2], POINTS)
    (first, job), (second, other) = queue.take(), queue.take()
    end(queue, job, first, score=0.75)
    failed = Trial(job=other, state="failed", score=None, seconds=0.2, error="It diverged.")
    queue.tell(second, other, failed)
    elsewhere = TrialQueue(tmp_path, QUESTION, sign=1)
    ended = elsewhere.ended()
    elsewhere.close()
    assert ended[job].score == 0.75
    assert ended[job].seconds == 1.5
    assert ended[other] == failed


def test_a_trial_at_work_elsewhere_is_left_alone(queue, tmp_path):
    queue.add(JOBS[:1], POINTS)
    queue.take()
    elsewhere = TrialQueue(tmp_path, QUESTION, sign=1)
    assert elsewhere.add(JOBS[:1], POINTS) == 0
    assert elsewhere.take() is None
    elsewhere.close()


def test_a_trial_whose_process_is_gone_waits_again_but_not_for_ever(queue, tmp_path):
    for death in range(MOST_DEATHS):
        gone = TrialQueue(tmp_path, QUESTION, sign=1)
        assert gone.add(JOBS[:1], POINTS) == 1, death
        assert gone.take() is not None
        gone._alive.close()  # As the kernel does with a killed process's locks.
    assert queue.add(JOBS[:1], POINTS) == 1
    assert queue.take() is None
    assert "ended without a word, 2 times" in queue.ended()[JOBS[0]].error


def test_killed_workers_lose_no_trial_and_count_none_twice(tmp_path):
    first, second = a_worker(tmp_path, 0.05), a_worker(tmp_path, 0.05)
    first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert second.wait(timeout=60) == 0
    second.communicate()
    last = a_worker(tmp_path, 0.0)
    last.communicate(timeout=60)
    queue = TrialQueue(tmp_path, QUESTION, sign=1)
    assert sorted(queue.ended()) == sorted(JOBS)
    states = [trial.state for trial in queue._study.get_trials(deepcopy=False)]
    queue.close()
    assert states.count(optuna.trial.TrialState.COMPLETE) == len(JOBS)


def test_optuna_reads_the_trials_with_their_parameters(queue):
    queue.add(JOBS[:1], POINTS)
    number, job = queue.take()
    end(queue, job, number)
    trial = queue._study.trials[0]
    assert trial.params == {"arm": "a", "lr": 0.01, "how": "x"}
    assert trial.value == 0.5


@pytest.mark.parametrize("job", JOBS[:3])
def test_a_key_names_its_job(job):
    assert job_of(job.key) == job


def test_what_failed_can_be_run_again_and_counts_once(queue, tmp_path):
    queue.add(JOBS[:3], POINTS)
    for fails in (False, True, True):
        number, job = queue.take()
        state = "failed" if fails else "complete"
        score = None if fails else 0.5
        queue.tell(number, job, Trial(job=job, state=state, score=score, seconds=0.1))
    assert queue.again() == 2
    assert queue.again() == 0
    assert set(queue.ended()) == {JOBS[0]}
    other = TrialQueue(tmp_path, QUESTION, sign=1)
    assert set(other.ended()) == {JOBS[0]}
    assert other.add(JOBS[:3], POINTS) == 2
    while (taken := other.take()) is not None:
        end(other, taken[1], taken[0])
    assert {job: trial.state for job, trial in other.ended().items()} == dict.fromkeys(
        JOBS[:3], "complete"
    )
    other.close()


def test_what_ended_its_processes_can_be_run_again(queue, tmp_path):
    for _ in range(MOST_DEATHS):
        dead = TrialQueue(tmp_path, QUESTION, sign=1)
        dead.add(JOBS[:1], POINTS)
        assert dead.take() is not None
        dead._alive.close()
    queue.add(JOBS[:1], POINTS)
    assert queue.ended()[JOBS[0]].state == "failed"
    assert queue.again() == 1
    assert queue.add(JOBS[:1], POINTS) == 1
    assert queue.take() is not None
