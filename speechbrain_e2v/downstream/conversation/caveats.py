"""What a reader of a conversation's score has to know about its folds."""


def conversation_marks(folds, samples):
    """Say which dialogues and voices the parts of the folds share.

    A sample's context holds the voice of somebody who is the target of other
    samples, so that folds by speaker are not yet folds by voice.

    Arguments
    ---------
    folds : sequence of Fold
        Of sample names.
    samples : sequence of Sample
        All of them.

    Returns
    -------
    list of str

    Example
    -------
    >>> from speechbrain_e2v.downstream.conversation.samples import Sample
    >>> from speechbrain_e2v.corpora.protocols import Fold
    >>> from speechbrain_e2v.corpora.utterance import Utterance
    >>> rows = {n: Utterance(n, "x.wav", spk=n, dialog=n) for n in "abc"}
    >>> samples = [Sample(rows[n], ((rows["a"],),)) for n in "abc"]
    >>> conversation_marks([Fold("x", ("b",), ("c",), ("a",))], samples)
    ['test speakers are heard in the context of training samples']
    """
    sample = {s.target.id: s for s in samples}

    def dialogs(part):
        return {sample[name].target.dialog for name in part}

    def heard(part):
        return {turn[0].spk for name in part for turn in sample[name].context}

    def targets(part):
        return {sample[name].target.spk for name in part}

    marks = []
    if any(dialogs(f.test) & dialogs(f.train) for f in folds):
        marks.append("test dialogues occur in training")
    elif any(targets(f.test) & heard(f.train) for f in folds):
        marks.append(
            "test speakers are heard in the context of training samples"
        )
    if any(dialogs(f.test) & dialogs(f.valid) for f in folds):
        marks.append(
            "validation is of the same dialogues as test, but of other turns"
        )
    return marks
