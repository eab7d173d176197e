"""Rounds of labels that a classifier gives, as emotion2vec+ was made."""
