"""A tiny classifier, and a tiny finished run of a probe recipe."""

import json
from dataclasses import replace

import numpy as np
import soundfile
import torch

from speechbrain_e2v.corpora.manifest import Utterance, write_manifest
from speechbrain_e2v.corpora.protocols import make_folds
from speechbrain_e2v.downstream.fold_result import FoldResult, save_head
from speechbrain_e2v.downstream.upstreams.encoder import (
    FrozenEncoder,
    trained_encoder,
)
from speechbrain_e2v.inference.trained import TrainedClassifier, corpus_labels
from speechbrain_e2v.lobes.embedding import (
    EmbeddingClassifier,
    UtteranceEmbedding,
)
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.lobes.heads import (
    FrameMLPHead,
    LinearHead,
    WeightedSumHead,
)
from speechbrain_e2v.metrics import all_scores, weighted_accuracy
from speechbrain_e2v.published.encoder_folder import save_encoder

CLASSES = ("anger", "happiness", "sadness")
HEADS = {
    "frames": (FrameMLPHead, {"hidden": 8}),
    "means": (FrameMLPHead, {"hidden": 8}),
    "linear": (LinearHead, {}),
    "weighted": (WeightedSumHead, {"hidden": 8}),
}
KINDS = {
    "frames": "probe",
    "means": "probe on utterance means",
    "linear": "logistic regression on standardised utterance means",
    "weighted": "probe",
}


def tiny_encoder(seed=0, **sizes):
    sizes = {"prenet_depth": 1, "depth": 1, **sizes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Emotion2vecEncoder(
            embed_dim=24, num_heads=2, num_extra_tokens=2, conv_channels=16,
            pos_conv_groups=2, pos_conv_depth=2, pos_conv_width=20, **sizes,
        )  # fmt: skip
        for parameter in encoder.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return encoder.eval()


def tiny_trained(classes=CLASSES, hidden=8, temperature=1.5, gain=5.0):
    encoder = tiny_encoder()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        embedding = UtteranceEmbedding(encoder, hidden=hidden)
        classifier = EmbeddingClassifier(
            hidden or encoder.embed_dim, len(classes), temperature
        )
    classifier.output_layer.weight.data *= gain
    about = {"kind": "test", "encoder_card": {"licence": "MIT"}}
    return TrainedClassifier(
        embedding, classifier, corpus_labels(classes), about
    )


def noise(samples, seed, rate=16000):
    """Coloured noise, so that clips differ in more than level."""
    generator = np.random.default_rng(seed)
    wav = generator.standard_normal(samples)
    wav = np.convolve(wav, generator.standard_normal(9), "same")
    return (0.1 * wav / np.abs(wav).max()).astype(np.float32)


def write_run(folder, layer=-1, kind="frames", **sizes):
    """Write corpus, encoder and what training on them leaves behind."""
    run, encoder = folder / "run", tiny_encoder(**sizes)
    save_encoder(folder / "encoder", encoder, {"pretraining": {"X": 1.0}})
    utterances = _corpus(folder / "corpus")
    write_manifest(run / "manifest/all.json", utterances, folder / "corpus")
    absolute = [
        replace(u, wav=str(folder / "corpus" / u.wav)) for u in utterances
    ]
    upstream = trained_encoder(folder / "encoder", layer)
    folds = make_folds("random_kfold", absolute, 3, 1)
    scores = [
        _write_fold(run, number, fold, absolute, upstream, kind)
        for number, fold in enumerate(folds)
    ]
    spread = {"mean": 50.0, "sd": 1.0, "min": 1.0, "max": 99.0}
    results = {
        "corpus": "Tiny",
        "classes": list(CLASSES),
        "protocol": {
            "name": "random_kfold", "description": "random blocks",
            "n_folds": 3, "split_seed": 1, "marks": ["a mark"],
        },
        "seeds": [7],
        "pooled": scores[0],
        "interval95": None,
        "fold_spread": dict.fromkeys(scores[0], spread),
        "n_predictions": 12,
        "folds": [
            {"settings_sha256": f"digest {number}"}
            for number in range(len(folds))
        ],
        "classifier": {"kind": KINDS[kind]},
        "upstream": upstream.description,
        "feature_layer": upstream.description["layer"],
        "versions": {"speechbrain_e2v": "0"},
        "command": f"python train.py --data_folder {folder}",
    }  # fmt: skip
    (run / "results.json").write_text(json.dumps(results))
    (run / "hyperparams.yaml").write_text(
        f"encoder: {folder / 'encoder'}\n"
        "upstream: !name:os.system\n    command: touch /never\n"
    )
    return run


def _corpus(folder):
    folder.mkdir()
    utterances = []
    for index in range(12):
        size = 5000 + 777 * index
        soundfile.write(folder / f"u{index:02d}.wav", noise(size, index), 16000)
        utterances.append(
            Utterance(
                f"u{index:02d}",
                f"u{index:02d}.wav",
                emo=CLASSES[index % 3],
                spk=str(index % 4),
                duration=size / 16000,
                num_samples=size,
                sample_rate=16000,
                channels=1,
            )  # fmt: skip
        )
    return utterances


def _write_fold(run, number, fold, utterances, upstream, kind):
    make, arguments = HEADS[kind]
    arguments = {**arguments, "input_dim": upstream.dim, "n_classes": 3}
    if kind == "weighted":
        arguments["num_layers"] = upstream.encoder.num_layers
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(10 + number)
        head = make(**arguments).eval()
        for parameter in head.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
    head.output_layer.weight.data *= 5
    posteriors, predicted, reference = {}, {}, {}
    for utterance in utterances:
        frames = frozen_frames(upstream, utterance.wav)
        if kind == "means":  # as a probe on utterance means is trained
            frames = frames.mean(dim=0, keepdim=True)
        with torch.no_grad():
            probabilities = head(frames[None])[0].softmax(dim=0)
        posteriors[utterance.id] = [round(p, 6) for p in probabilities.tolist()]
        predicted[utterance.id] = int(probabilities.argmax())
        reference[utterance.id] = CLASSES.index(utterance.emo)

    def both(part):
        return [reference[i] for i in part], [predicted[i] for i in part]

    place = run / "folds" / f"{number:02d}" / "seed7"
    result = FoldResult(head, arguments, torch.zeros(0))
    save_head(place, result, {"classes": list(CLASSES)})
    result = {
        "fold": fold.name,
        "seed": 7,
        "settings_sha256": f"digest {number}",
        "seconds": 1.0,
        "reference": [reference[name] for name in fold.test],
        "predicted": [predicted[name] for name in fold.test],
        "n_train": len(fold.train),
        "n_valid": len(fold.valid),
        "n_test": len(fold.test),
        "test": list(fold.test),
        "posteriors": [posteriors[name] for name in fold.test],
        "scores": all_scores(*both(fold.test)),
        "selection": {
            "valid_wa": weighted_accuracy(*both(fold.valid)),
            "valid_loss": float(number),
        },
    }
    (place / "result.json").write_text(json.dumps(result))
    return result["scores"]


def frozen_frames(upstream, path):
    assert isinstance(upstream, FrozenEncoder)
    wav, _ = soundfile.read(path, dtype="float32")
    return upstream.extract([torch.from_numpy(wav)])[0]
