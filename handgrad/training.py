"""A whole training: steps, reports, the best weights, checkpoints and faults, once for both sides."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handgrad import runs
from handgrad.both_sides import Snapshot
from handgrad.data import Data
from handgrad.errors import UsageError
from handgrad.experiment import Experiment, State
from handgrad.interrupts import TrainingInterruptedError, asked_to_end
from handgrad.loop import Batch, Order, report_due, schedule_due
from handgrad.metrics import accuracy, class_accuracy
from handgrad.progress import Progress
from handgrad.runs import RunFolder, Unwritten
from handgrad.summary import summary

if TYPE_CHECKING:
    from handgrad.sides import ManualSide
    from handgrad.torch_side import TorchSide

UNREAD = 100  # steps whose losses may lie unread on an accelerator, since reading one waits for it
CHECKPOINT_SECONDS = 30.0


@dataclass(frozen=True)
class Plan:
    """When a training looks up: `evaluate_every` and `checkpoint_every` count steps.

    Without `checkpoint_every` a checkpoint is written every half minute: when it is written changes no number.
    """

    evaluate_every: int | None = None
    checkpoint_every: int | None = None


class Training:
    """Trains one side of an experiment into a run folder, from the start or from a checkpoint.

    `config` is kept in every checkpoint and held against the run's own when it goes on. Losses are read where a line
    is written, or every UNREAD steps; on the CPU, where reading costs nothing, after every step.

    Of several processes every one goes through all of this, so that each takes the same turn at the same step; the main
    one alone writes and prints.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: Data,
        side: "ManualSide | TorchSide",
        config: Mapping[str, Any],
        plan: Plan = Plan(),
    ) -> None:
        self.experiment, self.data, self.side = experiment, data, side
        self.config, self.plan = config, plan
        self.processes = side.processes
        self.folder = self._folder(Path())
        self.order = Order(experiment, len(data.inputs))
        self.best: dict[str, Any] = {"loss": math.inf, "step": 0}
        self.resume_as: Path | None = None  # what --resume is to be given, where that is not the run's own folder
        self.asked = 0  # the number of a signal that has asked to end, when there was nothing left to end
        self._best_state: State | None = None  # the weights of a new best, until they are written
        self._gone_on_from: tuple[Path, Mapping[str, Any]] | None = None
        self._losses: list[float] = []  # of the steps since the last line
        self._unread: list[Any] = []  # the same, still where they were computed
        self._good = (side.snapshot(), self.order.state())  # where all was finite when last looked at
        self._progress = Progress(side.name, 0, 0, 0, quiet=True)
        self._saved_at = time.monotonic()

    @property
    def total(self) -> int:
        """How many steps the whole training has."""
        return self.experiment.steps or self.experiment.epochs * self.order.steps_per_epoch

    @property
    def finished(self) -> bool:
        """Whether all steps are taken."""
        return self.order.step >= self.total

    def _folder(self, path: Path) -> RunFolder:
        return RunFolder(path) if self.processes.main else Unwritten(path)

    def create(self, path: Path) -> None:
        """Fill the run's folder: its settings, and a checkpoint of the start."""
        self.folder = self._folder(path)
        self.folder.create(self._config_json())
        self.save()

    def _config_json(self) -> dict[str, Any]:
        found = runs.config(self.side.name, self.experiment, self.data)
        given = {
            name: value for name, value in self.config["options"].items() if value is not None and value is not False
        }
        return {**found, **vars(self.plan), "options": given, "samples": self.config["samples"], **self._computed()}

    def _computed(self) -> dict[str, Any]:
        return {"computed_on": self.side.describe(), "device": self.side.device_report()}

    def go_on(self, path: Path, file: Path, snapshot: Snapshot, rest: Mapping[str, Any]) -> None:
        """Go on from a checkpoint, read from `file` in the folder at `path`; it may be of the other side."""
        self.folder = self._folder(path)
        self.side.restore(snapshot)
        self.order.restore(rest["order"])
        self.best, self._losses = dict(rest["best"]), list(rest["losses"])
        if rest["side"] == self.side.name:
            self.side.restore_generators(rest["generators"])
        self._mark_good()
        self._gone_on_from = file, rest

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the folder to this process meanwhile; of a run that goes on, take it back to the checkpoint first.

        Raises UsageError where another process trains into it, and where it cannot be gone on with.
        """
        with self.folder.alone():
            if self._gone_on_from is not None:
                file, rest = self._gone_on_from
                before = self.folder.resumed()
                self.folder.take_back(file, rest["metrics_size"])
                going = {"step": self.order.step, "side": self.side.name, **self._computed()}
                self.folder.write_json("config.json", {**self._config_json(), "resumed": [*before, going]})
            yield

    def run(self, quiet: bool = False) -> dict[str, Any]:
        """Train to the end and return the summary.

        Raises UsageError where the training diverges, the folder cannot be written or another process has ended, and
        TrainingInterruptedError where it was asked to end: then it has finished its step and saved.
        """
        lines = self.total // self.order.steps_per_epoch // self.experiment.report_every
        lines = max(lines, self.total // (self.plan.evaluate_every or self.total))
        quiet = quiet or not self.processes.main
        self._progress = Progress(self.side.name, self.total, self.order.step, lines, quiet)
        go_on = f"go on with --resume {self.resume_as or self.folder.path}"
        try:
            with (
                self.processes.together(lambda: f"this one stops after step {self.order.step:,}; {go_on}"),
                asked_to_end() as asked,
                np.errstate(over="ignore", invalid="ignore"),  # NaN is refused in one line
            ):
                while not self.finished:
                    self._step()
                    # The clock and the signals of one process are not those of another.
                    number, due = self.processes.largest(asked.number or 0, self._due_to_save())
                    if number and not self.finished:
                        self.save()
                        where = f"after step {self.order.step:,} of {self.total:,} and saved"
                        raise TrainingInterruptedError(f"interrupted {where}; {go_on}", number)
                    if due:
                        self.save()
                self.save()
                (self.asked,) = self.processes.largest(asked.number or 0)
        finally:
            self._progress.close()
        found = summary(self.side, self.data)
        self.folder.write_json("summary.json", {**found, "best": self.best, "steps": self.order.step})
        return found

    def _step(self) -> None:
        due = report_due(self.experiment, self.order.epoch)
        if due and self.order.start == 0 and self.experiment.report_when == "before":
            self._line(self.order.epoch)
            self._mark_good()
        batch = self.order.next()
        self._unread.append(self.side.step(batch.rows))
        if not self.finished:
            self.side.expect(self.order.peek())
        if self.side.at_once or len(self._unread) >= UNREAD:
            self._read()
        every = self.plan.evaluate_every
        due = due and batch.last and self.experiment.report_when == "after"
        loss = None
        if due or self.finished or (every is not None and self.order.step % every == 0):
            loss = self._line(batch.epoch)
        loss = self._schedule(batch, loss)
        if loss is not None:  # not before the scheduler has set the rate of the next step, which may be repeated
            self._mark_good()
        self._progress.advance(self.order.step)

    def _schedule(self, batch: Batch, loss: float | None) -> float | None:
        """Let the scheduler step where it is due; return the loss that the run goes by, if it was computed."""
        scheduler = self.experiment.scheduler
        if scheduler is not None and schedule_due(self.experiment, batch):
            if scheduler.takes_loss:
                self._read()
                loss = self._watched({}) if loss is None else loss
                self.side.schedule(loss)
            else:
                self.side.schedule()
        return loss

    def _mark_good(self) -> None:
        """Remember where all was finite, with the rate of the next step, to repeat the steps from there if need be."""
        self._good = (self.side.snapshot(), self.order.state())

    def _report(self) -> float:
        """Return the reported loss: the main process's, since another machine may round it otherwise."""
        return self.processes.of_main(self.side.report(self.experiment.report))

    def _watched(self, line: dict[str, Any]) -> float:
        """Compute the loss that the run goes by, the validation part's where there is one, and put it into the line."""
        inputs, targets = self.data.validation_inputs, self.data.validation_targets
        if inputs is None or targets is None:
            if "loss" not in line:
                line["loss"] = self._report()
            return float(line["loss"])
        loss = self.side.evaluate(inputs, targets, self.experiment.report)
        line["validation_loss"] = self.processes.of_main(loss)
        if self.data.classes or self.data.labels:
            score = class_accuracy if self.data.classes else accuracy
            line["validation_accuracy"] = score(self.side.predict(inputs), targets)
        return float(line["validation_loss"])

    def _line(self, epoch: int) -> float:
        """Write a line of metrics, print it where it is due, and keep the weights if they are the best so far."""
        self._read()
        line: dict[str, Any] = {"epoch": epoch, "step": self.order.step}
        line["loss"] = self._report()
        watched = self._watched(line)
        if self._losses:
            line["batch_loss"] = math.fsum(self._losses) / len(self._losses)
        line["lr"] = self.side.lr
        if not (math.isfinite(line["loss"]) and math.isfinite(watched)):
            self._diverged(f"the loss is {line['loss']} after step {self.order.step}")
        self._look_at_parameters()
        self._losses = []
        self.folder.append(line)
        self._progress.report(line, last=self.finished)
        if watched < self.best["loss"]:
            self.best = {"loss": watched, "step": self.order.step}
            self._best_state = self.side.state()
        return watched

    def _read(self) -> None:
        """Read the losses that were left where they were computed; stop where one is not finite."""
        found = self.side.read(self._unread)
        self._unread = []
        for before, loss in zip(range(len(found), 0, -1), found, strict=True):
            if not math.isfinite(loss):
                self._diverged(f"the loss of step {self.order.step - before + 1} is {loss}")
        self._losses += found

    def _look_at_parameters(self) -> None:
        if not np.isfinite(self.side.flat_parameters()).all():  # a saturated sigmoid hides it from the loss
            self._diverged(f"a parameter is not finite after step {self.order.step}")

    def _diverged(self, what: str) -> None:
        """Keep the last good weights and raise UsageError; the steps are repeated to see which tensor is first."""
        from handgrad.divergence import repeat

        end, (snapshot, place), when = self.order.step, self._good, "there"
        self.side.restore(snapshot)
        self.order.restore(place)
        if (found := repeat(self.side, self.order, end, self._schedule_again)) is not None:
            self.side.restore(found.before)
            when, at = "before it", f"at step {self.order.step} (epoch {found.epoch})"
            what = f"{at} {found.name} is the first tensor that is not finite"
        self._write_weights()
        raise UsageError(
            f"the training diverged: {what}; {self.folder.path}/weights.npz keeps the weights {when}; "
            f"lower --lr {self.experiment.lr:g}"
        )

    def _schedule_again(self, batch: Batch) -> None:
        if self.experiment.scheduler is not None and not self.experiment.scheduler.takes_loss:
            self._schedule(batch, None)  # after one that takes a loss, there is nothing to repeat yet

    def _due_to_save(self) -> bool:
        if self.plan.checkpoint_every is not None:
            return self.order.step % self.plan.checkpoint_every == 0
        return time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS

    def save(self) -> None:
        """Write the weights and a checkpoint."""
        self._read()
        self._look_at_parameters()
        self._write_weights()
        rest: dict[str, Any] = {"side": self.side.name, "config": self.config}
        rest |= {"order": self.order.state(), "best": self.best, "losses": self._losses}
        rest["generators"] = self.side.generators()
        self.folder.write_checkpoint(self.side.snapshot(), rest)
        self._saved_at = time.monotonic()

    def _write_weights(self) -> None:
        """Write the weights, and those of a new best: only now, or best.npz would know more than the checkpoint."""
        self.folder.write_weights("weights.npz", self.side.state())
        if self._best_state is not None:
            self.folder.write_weights("best.npz", self._best_state)
            self._best_state = None
