"""Write features of audio files: one file each, or one store.

examples:
  e2v extract a.wav b.flac --encoder results/pretrain/encoder -o features
  e2v extract /data/speech --encoder emotion2vec/emotion2vec_base \\
      --granularity utterance --layer mean_last_4 --format store -o features
  torchrun --nproc_per_node 4 -m speechbrain_e2v.cli extract list.txt \\
      --encoder encoders/base -o features

A run that was stopped goes on where it was; files that cannot be used are
named at the end, and the exit status is then 1.
"""

import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from speechbrain_e2v.checkpoints.encoder_folder import weights_digest
from speechbrain_e2v.dataio.atomic import replace_text
from speechbrain_e2v.inference.audio_list import list_clips
from speechbrain_e2v.inference.clips import measure
from speechbrain_e2v.inference.extractor import GRANULARITIES, Emotion2vec
from speechbrain_e2v.inference.feature_files import FeatureFiles
from speechbrain_e2v.inference.read_ahead import read_ahead
from speechbrain_e2v.inference.settings import demand_same_settings
from speechbrain_e2v.inference.shard import Shard
from speechbrain_e2v.inference.store_writer import StoreWriter
from speechbrain_e2v.lobes.lengths import SAMPLE_RATE

FORMATS = ("npy", "npz", "store")
