"""Reference models for the equivalence tests."""

import pytest
from equivalence.reference_model import (
    build_student,
    load_student,
    load_teacher,
)

from speechbrain_e2v.pretraining.teacher import EMATeacher


@pytest.fixture(scope="session")
def tiny_pair(golden):
    """Tiny student and teacher with the reference's stored weights."""
    cfg = golden("tiny_config.json")["cfg"]
    state = golden("tiny_fairseq_state.safetensors")
    student = load_student(build_student(cfg), state)
    teacher = EMATeacher(student, cfg["average_top_k_layers"])
    prefix = "_ema."
    ema = {
        name.removeprefix(prefix): value
        for name, value in state.items()
        if name.startswith(prefix)
    }
    load_teacher(teacher, ema, student.encoder.config["prenet_depth"])
    return student, teacher
