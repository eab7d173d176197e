"""Build our modules with the reference's weights."""

import hashlib

import numpy as np
import torch

from speechbrain_e2v.lobes.decoder import ConvDecoder
from speechbrain_e2v.lobes.encoder import Emotion2vecEncoder
from speechbrain_e2v.pretraining.student import Student
from speechbrain_e2v.pretraining.teacher import EMATeacher
from speechbrain_e2v.published.emotion2vec_names import (
    published_name,
    published_shape,
)


def build_student(cfg):
    """Build a student of the sizes in the reference's official config."""
    audio = cfg["modalities"]["audio"]
    decoder = audio["decoder"]
    convolutions = eval(audio["feature_encoder_spec"], {"__builtins__": {}})
    encoder = Emotion2vecEncoder(
        embed_dim=cfg["embed_dim"],
        num_heads=cfg["num_heads"],
        prenet_depth=audio["prenet_depth"],
        depth=cfg["depth"],
        num_extra_tokens=audio["num_extra_tokens"],
        conv_channels=convolutions[0][0],
        conv_kernels=[kernel for _, kernel, _ in convolutions],
        conv_strides=[stride for _, _, stride in convolutions],
        pos_conv_groups=audio["conv_pos_groups"],
    )
    conv_decoder = ConvDecoder(
        cfg["embed_dim"],
        decoder["decoder_dim"],
        decoder["decoder_kernel"],
        decoder["decoder_layers"],
        decoder["decoder_groups"],
    )
    return Student(encoder, conv_decoder).eval()


def named_parameters(student):
    """Yield (published name, our name, parameter) of a student."""
    prenet = student.encoder.config["prenet_depth"]
    pairs = list(student.encoder.named_parameters())
    pairs += [
        (f"decoder.{n}", p) for n, p in student.decoder.named_parameters()
    ]
    for name, parameter in pairs:
        yield published_name(name, prenet), name, parameter


def load_student(student, state):
    """Copy a flat published state dict into a student."""
    with torch.no_grad():
        for published, _, parameter in named_parameters(student):
            parameter.copy_(state[published].reshape(parameter.shape))
    return student


def load_teacher(teacher, state, prenet):
    """Copy published teacher weights into a teacher."""
    with torch.no_grad():
        for name, parameter in teacher.context.named_parameters():
            value = state[published_name(f"context.{name}", prenet)]
            parameter.copy_(value.reshape(parameter.shape))
    return teacher


class FilledState:
    """A state dict whose values follow from names (golden README)."""

    def __init__(self, student, seed):
        self.seed = seed
        self.shapes = {
            published: published_shape(name, parameter.shape)
            for published, name, parameter in named_parameters(student)
        }

    def __getitem__(self, name):
        shape = self.shapes[name]
        text = f"{self.seed}:{name}".encode()
        key = int(hashlib.sha256(text).hexdigest()[:8], 16)
        z = np.random.RandomState(key).standard_normal(shape)
        last = name.rsplit(".", 1)[-1]
        if "alibi_scale" in name:
            z = 1 + 0.3 * z
        elif "extra_tokens" in name:
            z = 0.5 * z
        elif len(shape) == 1 and last == "weight":
            z = 1 + 0.1 * z
        elif last == "bias" or len(shape) == 1:
            z = 0.05 * z
        else:
            z = z / np.sqrt(np.prod(shape[1:]))
        return torch.from_numpy(z.astype(np.float32))


def filled_pair(cfg, top_k=None):
    """Build student (seed 0) and teacher (seed 1000) by the fill recipe."""
    student = build_student(cfg)
    teacher = EMATeacher(student, top_k or cfg["average_top_k_layers"])
    load_student(student, FilledState(student, 0))
    prenet = student.encoder.config["prenet_depth"]
    load_teacher(teacher, FilledState(student, 1000), prenet)
    return student, teacher
