"""emotion2vec's pre-training: student, EMA teacher, masks, losses, data."""
