"""Fine-tuning: the encoder is trained together with the head.

The folds, protocols, results and tables are those of probes; ``trainer`` takes
the place of a probe's, ``corpus`` that of the feature store.
"""
