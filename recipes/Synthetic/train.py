#!/usr/bin/env python3
"""The probe on the generated corpus, all folds. NOT results on speech.

> python train.py hparams/linear.yaml --data_folder DIR --encoder FOLDER
"""

from synthetic_prepare import CORPUS

from speechbrain_e2v.downstream.run import downstream

if __name__ == "__main__":
    downstream(CORPUS)
