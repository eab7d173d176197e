"""Run pre-training and kill the process at a chosen moment.

> python doomed_run.py update:7 hparams/pretrain_tiny.yaml --manifests ...
> python doomed_run.py saving:3 ...      # while writing the third checkpoint
> python doomed_run.py SIGINT:7 ...      # asked to stop, as by Ctrl-C
"""

import os
import runpy
import signal
import sys
from pathlib import Path

import torch

from speechbrain_e2v.pretraining.brain import DistillationBrain

TRAIN = Path(__file__).resolve().parents[2] / "train.py"


def die(number=signal.SIGKILL):
    os.kill(os.getpid(), number)


def main():
    moment, _, number = sys.argv.pop(1).partition(":")
    if moment == "update" or hasattr(signal, moment):
        sent = getattr(signal, moment, signal.SIGKILL)
        step = DistillationBrain.on_optimizer_step

        def doomed_step(self):
            step(self)
            if self.optimizer_step == int(number):
                die(sent)

        DistillationBrain.on_optimizer_step = doomed_step
    elif moment == "saving":
        save, seen = torch.save, []

        def doomed_save(what, path, *args, **kwargs):
            if "teacher" in str(path):
                seen.append(path)
                if len(seen) == int(number):
                    with open(path, "wb") as file:
                        file.write(b"half a file")
                    die()
            save(what, path, *args, **kwargs)

        torch.save = doomed_save
    runpy.run_path(str(TRAIN), run_name="__main__")


if __name__ == "__main__":
    main()
