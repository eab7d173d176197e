"""Corpora as manifests: utterances, audio, labels, protocols, audits."""
