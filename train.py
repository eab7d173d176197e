#!/usr/bin/env python3
"""Pre-train emotion2vec on unlabelled speech.

> python train.py hparams/pretrain_tiny.yaml --manifests '[speech.json]'
> torchrun --nproc-per-node=4 train.py hparams/pretrain.yaml --manifests ...
"""

import sys
from pathlib import Path

import speechbrain as sb

from speechbrain_e2v.pretraining.brain import DistillationBrain
from speechbrain_e2v.pretraining.initialise import initialise
from speechbrain_e2v.pretraining.run import (
    export_encoder,
    load_pretraining,
    make_loaders,
    prepare_data,
)
from speechbrain_e2v.training.experiment import one_line_errors


def main(argv: list[str]) -> Path:
    """Run ``hparams/x.yaml --key value ...``; returns the encoder folder."""
    with one_line_errors():
        experiment = load_pretraining(argv)
        hparams, run_opts = experiment.hparams, experiment.run_opts
        sb.utils.distributed.ddp_init_group(run_opts)

        # Every file is looked at before anything is written.
        data = prepare_data(hparams, run_opts)
        sb.create_experiment_directory(
            experiment_directory=hparams["output_folder"],
            hyperparams_to_save=str(experiment.file),
            overrides=experiment.overrides,
        )
        initialise(
            hparams["student"], hparams["teacher"], hparams["initialise_from"]
        )
        brain = DistillationBrain(
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=run_opts,
            checkpointer=hparams["checkpointer"],
        )
        train_loader, valid_loader = make_loaders(data, brain)
    brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
    return export_encoder(brain, data, experiment)


if __name__ == "__main__":
    main(sys.argv[1:])
