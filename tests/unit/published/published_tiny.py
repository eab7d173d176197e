"""A tiny model written the way published checkpoints are written."""

import argparse

import torch

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.teacher import EMATeacher
from speechbrain_e2v.published.emotion2vec_names import published_parameters

DECODER = {"embed_dim": 48, "channels": 24, "groups": 4}


def tiny_pair(num_extra_tokens=3, seed=0):
    """Student and a teacher with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Emotion2vecEncoder(
            embed_dim=48,
            num_heads=4,
            prenet_depth=1,
            depth=2,
            num_extra_tokens=num_extra_tokens,
            conv_channels=32,
            pos_conv_groups=4,
        )
        student = Student(encoder.eval(), ConvDecoder(**DECODER))
        teacher = EMATeacher(student, top_k=2)
        for module in (student, teacher.context):
            for parameter in module.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
    return student, teacher


def tensors_of(module, prefix="", prenet_depth=1):
    """A module's tensors under published names."""
    state = module.state_dict()
    names = published_parameters(state, prenet_depth, prefix)
    return {
        published: state[ours].reshape(shape).clone()
        for published, (ours, shape) in names.items()
    }


def config(num_extra_tokens=3):
    """The part of the official config that the tiny model differs in."""
    audio = {
        "prenet_depth": 1,
        "num_extra_tokens": num_extra_tokens,
        "conv_pos_groups": 4,
        "conv_pos_depth": 5,
        "conv_pos_width": 95,
        "feature_encoder_spec": "[(32,10,5)] + [(32,3,2)] * 4 + [(32,2,2)] * 2",
    }
    return {
        "_name": "data2vec_multi",
        "depth": 2,
        "num_heads": 4,
        "embed_dim": 48,
        "norm_eps": 1e-5,
        "modalities": {"_name": None, "audio": audio},
    }


def fairseq_content(student, teacher=None):
    """What a fairseq file holds: config object, state, optimizer."""
    encoder = student.encoder
    model = tensors_of(encoder) | tensors_of(student.decoder, "decoder.")
    if teacher is not None:
        model["_ema"] = tensors_of(teacher.context, "context.")
    tokens = encoder.context.num_extra_tokens
    return {
        "args": None,
        "cfg": {
            "_name": None,
            "task": {"_name": "audio_pretraining", "normalize": True},
            "model": argparse.Namespace(**config(tokens)),
        },
        "model": model,
        "criterion": None,
        "optimizer_history": [{"optimizer_name": "FP16Optimizer"}],
        "task_state": {},
        "extra_state": {"epoch": 7, "metrics": {}},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.ones(9)}}},
    }


def write_fairseq(path, student, teacher=None, **replaced):
    """Write a fairseq file; `replaced` changes top-level parts."""
    torch.save(fairseq_content(student, teacher) | replaced, path)
    return path


def write_funasr(folder, student, tokens=None, config_yaml=None):
    """Write a FunASR folder with a head of nine classes."""
    folder.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        head = {"proj.weight": torch.randn(9, 48), "proj.bias": torch.randn(9)}
    names = tensors_of(student.encoder).items()
    state = {f"d2v_model.{name}": value for name, value in names}
    torch.save({"model": state | head}, folder / "model.pt")
    if tokens is not None:
        (folder / "tokens.txt").write_text("\n".join(tokens), "utf-8")
    if config_yaml is not None:
        (folder / "config.yaml").write_text(config_yaml, "utf-8")
    return folder, head
