#!/usr/bin/env python3
"""Ratings of MSP-Podcast from frozen features.

> python train.py hparams/regression.yaml --data_folder DIR --encoder FOLDER
"""

from msp_podcast_prepare import CORPUS

from speechbrain_e2v.downstream.run import downstream

if __name__ == "__main__":
    downstream(CORPUS)
