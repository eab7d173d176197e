"""A generated corpus that sounds a little like speech.

Scores on this corpus are NOT results on speech. It exists so that the demo
and the tests run without a download and without a licence: its voices are
computed from a few dozen numbers, its emotions are our rough rendering of
what textbooks say about prosody, and whatever a model reaches on it says
nothing about people.

``voice``
    source and filter: glottal pulses, formant resonators, frication.
``prosody``
    who speaks, what is said, and how six emotions change the way it is said.
``corpus``
    wav files and ``labels.csv`` in a folder.

``python -m speechbrain_e2v.corpora.synthetic --output DIR`` writes one. The
same arguments give the same bytes in every process on one machine; another
processor may round a few samples to a neighbouring value.
"""
