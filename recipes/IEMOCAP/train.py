#!/usr/bin/env python3
"""Emotions of IEMOCAP from frozen features, all folds at once.

> python train.py hparams/linear.yaml --data_folder DIR --encoder FOLDER
"""

from iemocap_prepare import CORPUS

from speechbrain_e2v.downstream.run import downstream

if __name__ == "__main__":
    downstream(CORPUS)
