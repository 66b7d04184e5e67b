"""A search for settings: resumed after kill -9, joined by a second worker, cut short where hopeless."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

from deepgpu.train import Trainer, tuning  # noqa: E402
from deepgpu.train.recipe import Recipe  # noqa: E402

RECIPE = Recipe.make("resnet8", "digits", {"model_args": {"width": 2}, "epochs": 2, "validation": 0.5})
COMMAND = [sys.executable, "-m", "deepgpu", "tune", "--set", "width=2", "--epochs", "2", "--validation", "0.5"]
COMMAND += ["--device", "cpu", "--out", "study"]
DONE = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


@pytest.fixture
def scored(monkeypatch):
    """Trainings that take no time: the accuracy after each epoch is a function of the settings."""

    def make(accuracy):
        def fit(self, batches, validation, epochs):
            for epoch in range(1, epochs + 1):
                score = accuracy(self.optimizer.param_groups[0], epoch)
                self.position.best = max(score, self.position.best or 0.0)
                self.early_stopping.update(score)

        monkeypatch.setattr(Trainer, "fit", fit)

    return make


def finished(folder):
    study = optuna.load_study(study_name="deepgpu", storage=f"sqlite:///{folder / 'study.db'}")
    return study.get_trials(states=DONE)


def worker(trials, folder):
    """Started; to be killed, or waited for."""
    command = [*COMMAND, "--trials", str(trials)]
    return subprocess.Popen(command, cwd=folder.parent, stdout=subprocess.PIPE, text=True)


def first_trial(process):
    """Waits for the end of the worker's first trial: its number."""
    return next(int(line.split()[1]) for line in process.stdout if line.startswith("trial "))


def test_kill_9_then_others_go_on(tmp_path):
    folder = tmp_path / "study"
    workers = [worker(50, folder) for _ in range(2)]  # which open the study, not there yet, at the same time
    numbers = [first_trial(w) for w in workers]
    for w in workers:
        w.send_signal(signal.SIGKILL)
    rest = "".join(w.communicate()[0] for w in workers)
    numbers += [int(line.split()[1]) for line in rest.splitlines() if line.startswith("trial ")]
    before = finished(folder)
    assert len(set(numbers)) == len(numbers)  # no trial was both workers'
    assert set(numbers) <= {t.number for t in before}
    last = worker(len(before) + 2, folder)
    output = last.communicate()[0]
    assert last.returncode == 0
    after = finished(folder)
    assert len(after) == len(before) + 2
    assert {t.number: t.value for t in before}.items() <= {t.number: t.value for t in after}.items()
    shown = {int(line.split()[1]) for line in output.splitlines() if line.startswith("trial ")}
    assert shown == {t.number for t in after} - {t.number for t in before}
    assert "best validation accuracy" in output
    assert "train so: deepgpu train --model resnet8 --data digits" in output
    assert {"optimization_history.png", "intermediate_values.png"} <= {p.name for p in folder.iterdir()}


def test_workers_make_one_study(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        studies = list(pool.map(lambda _: tuning.open_study(tmp_path / "study", RECIPE), range(8)))
    assert {s._study_id for s in studies} == {1}


@pytest.mark.filterwarnings("ignore:Heartbeat of storage:UserWarning")  # the dead trial has no process here
def test_a_trial_whose_process_died_is_tried_again(tmp_path, monkeypatch, scored):
    monkeypatch.setattr(tuning, "HEARTBEAT_SECONDS", 1)
    scored(lambda group, epoch: 0.5)
    study = tuning.open_study(tmp_path, RECIPE)
    dead = study.ask()  # no process is at work on it
    tried = tuning.suggest(dead, RECIPE)
    study._storage.record_heartbeat(dead._trial_id)
    time.sleep(3.5)
    again = tuning.open_study(tmp_path, RECIPE)
    tuning.tune(again, 2, "cpu")
    assert again.trials[dead.number].state == optuna.trial.TrialState.FAIL
    repeated = [t for t in again.trials if t.number != dead.number and t.params == dead.params]
    assert repeated[0].value == 0.5
    assert tuning.suggest(optuna.trial.FixedTrial(repeated[0].params), RECIPE) == tried


def test_the_best_settings_are_found_and_hopeless_trials_pruned(tmp_path, scored):
    scored(lambda group, epoch: 0.9 - 0.1 * abs(np.log10(group["max_lr"] / 0.03)) + 0.001 * epoch)
    recipe = Recipe.make("resnet8", "digits", {"model_args": {"width": 2}, "epochs": 4, "validation": 0.5})
    study = tuning.open_study(tmp_path, recipe)
    tuning.tune(study, 30, "cpu")
    states = [t.state for t in study.trials]
    assert len(states) == 30
    assert optuna.trial.TrialState.PRUNED in states
    best, score = tuning.best_recipe(study)
    assert score == max(t.value for t in study.trials if t.state == optuna.trial.TrialState.COMPLETE)
    assert abs(np.log10(best.lr / 0.03)) < 0.5
    assert f"--lr {best.lr:.4g} " in tuning.command_of(best)
    assert tuning.command_of(best).endswith("--set width=2")
    tuning.tune(study, 30, "cpu")  # nothing is left to do
    assert len(study.trials) == 30


def test_a_study_that_goes_on_tries_other_settings(tmp_path, scored):
    scored(lambda group, epoch: 0.5)
    for trials in (2, 4):  # in one process, as where each worker's number is the same: in a container
        study = tuning.open_study(tmp_path, RECIPE)
        tuning.tune(study, trials, "cpu")
    assert len({t.params["weight_decay"] for t in study.trials}) == 4


def test_a_study_of_something_else_is_refused(tmp_path):
    tuning.open_study(tmp_path, RECIPE)
    other = Recipe.make("resnet14", "digits", {"validation": 0.5})
    with pytest.raises(ValueError, match="has `model` 'resnet8', but got 'resnet14'; choose another --out"):
        tuning.open_study(tmp_path, other)


@pytest.mark.parametrize("package", ["optuna", "filelock"])
def test_a_missing_package_is_named_with_the_command(package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(tuning.MissingOptunaError, match=rf"needs {package}, .*pip install 'deepgpu\[tune\]'"):
        tuning.open_study(tmp_path, RECIPE)
