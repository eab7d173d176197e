#!/usr/bin/env python3
"""Pre-train emotion2vec, data2vec v1 or Vesper on unlabelled speech.

> python train.py hparams/pretrain_tiny.yaml --manifests '[speech.json]'
> torchrun --nproc-per-node=4 train.py hparams/pretrain.yaml --manifests ...
"""

import sys
from pathlib import Path

from speechbrain_e2v.console import one_line_errors

with one_line_errors():  # seconds, in which Ctrl-C may come
    import speechbrain as sb

    from speechbrain_e2v.files.lock import sole_writer
    from speechbrain_e2v.pretraining.run import (
        export_encoder,
        load_pretraining,
        make_loaders,
        prepare_data,
        start_weights,
    )
    from speechbrain_e2v.pretraining.settings import (
        check_resumable,
        run_settings,
    )


def main(argv: list[str]) -> Path:
    """Run ``hparams/x.yaml --key value ...``; returns the encoder folder."""
    experiment = load_pretraining(argv)
    hparams, run_opts = experiment.hparams, experiment.run_opts
    sb.utils.distributed.ddp_init_group(run_opts)
    # Every file is looked at, and the run compared with the one that it would
    # resume, before anything is written.
    data = prepare_data(hparams, run_opts)
    settings = run_settings(experiment, data.train.utterances)
    with sole_writer(hparams["output_folder"]):
        check_resumable(settings, hparams)
        sb.create_experiment_directory(hparams["output_folder"])
        experiment.save_hyperparams()
        brain = hparams["brain"](
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=run_opts,
            checkpointer=hparams["checkpointer"],
        )
        start_weights(settings, brain)
        train_loader, valid_loader = make_loaders(data, brain)
        brain.fit(hparams["epoch_counter"], train_loader, valid_loader)
        return export_encoder(brain, data, experiment)


if __name__ == "__main__":
    with one_line_errors():
        main(sys.argv[1:])
