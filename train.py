#!/usr/bin/env python3
"""Pre-train emotion2vec on unlabelled speech.

> python train.py hparams/pretrain_tiny.yaml --manifests '[speech.json]'
"""

from speechbrain_e2v.pretraining.run import pretrain

if __name__ == "__main__":
    pretrain()
