"""emotion2vec as a collection of SpeechBrain recipes.

Letters of shapes, the same in every docstring of the package:

=====  ==============================================================
B      utterances of a batch
S      samples of a waveform, 16,000 Hz, one channel
T      frames: one per 320 samples (20 ms), each sees 400 samples
D      width of the encoder
H      attention heads
K      clones of an utterance, each under another mask
N      extra tokens in front of the frames (utterance embedding)
L      layers, prenet blocks first
C      classes
=====  ==============================================================

Imports point down only, package by package: ``lobes``, ``training``,
``corpora`` and ``published``, ``pretraining`` and ``inference``,
``downstream``, ``report``, ``tools``. ``lobes`` needs torch alone. This module
imports nothing, so that asking for the version costs nothing.

>>> import speechbrain_e2v
>>> speechbrain_e2v.__version__
'0.1.0'
"""

__version__ = "0.1.0"
