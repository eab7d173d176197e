"""The maths of pre-training, arranged as its description reads.

Convolutions over [B, C, T] with transposes around every norm, whole ALiBi
biases gathered for every clone, attention written out, the decoder's
projection over all frames, one parameter after the other in optimizer and
EMA. It computes with the parameters of our own modules, without dropout, so
that its loss and every gradient can be compared with theirs.
"""

import torch
import torch.nn.functional as F

EPS = 1e-5


def convolve(frontend, wav):
    """Waveform [B, S] to frames [B, T, C]."""
    x = wav.unsqueeze(1)
    for layer in frontend.layers:
        x = F.conv1d(x, layer.weight, stride=layer.stride)
        x = layer.norm(x.transpose(1, 2)).transpose(1, 2)
        x = F.gelu(x)
    return x.transpose(1, 2)


def grouped_conv(block, x):
    """Grouped convolution over [B, T, C], norm without affine, GELU."""
    frames = x.shape[1]
    x = block.conv(x.transpose(1, 2))[..., :frames]
    x = F.layer_norm(x.transpose(1, 2), x.shape[1:2], eps=EPS)
    return F.gelu(x.transpose(1, 2)).transpose(1, 2)


def positional(module, x):
    """Stack of relative positional convolutions."""
    for block in module.blocks:
        x = grouped_conv(block, x)
    return x


def alibi_bias(alibi, frames):
    """Bias of all pairs of frames, [1, H, T, T]."""
    index = torch.arange(frames)
    distance = (index[None, :] - index[:, None]).abs().float()
    bias = -alibi.slopes[:, None, None] * distance
    return (bias * alibi.scale.clamp(min=0)[:, None, None])[None]


def attend(attention, x, bias):
    """Multi-head attention, written out."""
    batch, length, width = x.shape
    heads = attention.num_heads
    qkv = attention.qkv(x).reshape(batch, length, 3, heads, width // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    logits = (q * (width // heads) ** -0.5) @ k.transpose(-2, -1)
    weights = (logits.float() + bias).softmax(-1).to(v.dtype)
    x = (weights @ v).transpose(1, 2).reshape(batch, length, width)
    return attention.proj(x)


def run_blocks(context, x, bias):
    """Tokens in front, norm, blocks: outputs and MLP outputs of each."""
    tokens = context.extra_tokens
    x = torch.cat([tokens.expand(len(x), -1, -1), x], 1)
    bias = F.pad(bias, (len(tokens), 0, len(tokens), 0))
    x = context.norm(x)
    outputs, mlps = [], []
    for block in context.blocks:
        x = block.norm1(x + attend(block.attention, x, bias))
        mlp = block.fc2(F.gelu(block.fc1(x)))
        x = block.norm2(x + mlp)
        outputs.append(x)
        mlps.append(mlp)
    return outputs, mlps


@torch.no_grad()
def encode(encoder, wav):
    """Features [B, T, D] of normalised waveforms [B, S]."""
    local = encoder.projection(convolve(encoder.frontend, wav))
    x = local + positional(encoder.context.positional, local)
    bias = alibi_bias(encoder.context.alibi, x.shape[1])
    outputs, _ = run_blocks(encoder.context, x, bias)
    return outputs[-1][:, len(encoder.context.extra_tokens) :]


@torch.no_grad()
def targets_of(teacher, local):
    """Targets [B, T, D] and their mean over time [B, D]."""
    context = teacher.context
    x = local + positional(context.positional, local)
    _, mlps = run_blocks(context, x, alibi_bias(context.alibi, x.shape[1]))
    layers = [
        F.instance_norm(mlp[:, len(context.extra_tokens) :].float().mT, eps=EPS)
        for mlp in mlps[-teacher.top_k :]
    ]
    targets = (sum(layers) / len(layers)).mT
    return targets, targets.mean(1)


def loss_of(student, teacher, wav, mask, noise):
    """Frame loss plus utterance loss ("chunk", mean over rows).

    Arguments
    ---------
    student : Student
    teacher : EMATeacher
    wav : torch.Tensor, [B, S]
    mask : torch.Tensor, [B, K, T], bool
        True where masked; as many in every row.
    noise : torch.Tensor, [B * K, M, D]
        What the decoder sees at masked frames, in their order.

    Returns
    -------
    torch.Tensor, []
    """
    encoder, context = student.encoder, student.encoder.context
    clones = mask.shape[1]
    mask = mask.flatten(0, 1)
    rows, frames = mask.shape
    local = encoder.projection(convolve(encoder.frontend, wav))
    width = local.shape[2]
    x = local.repeat_interleave(clones, 0)
    place = positional(context.positional, x * (~mask).unsqueeze(2))
    order = mask.int().argsort(dim=1, stable=True)  # visible, then masked
    visible = order[:, : int((~mask[0]).sum())]
    at_visible = visible.unsqueeze(2).expand(-1, -1, width)
    x = x.gather(1, at_visible) + place.gather(1, at_visible)
    bias = alibi_bias(context.alibi, frames).repeat(rows, 1, 1, 1)
    heads = bias.shape[1]
    row = visible[:, None, :, None].expand(-1, heads, -1, frames)
    column = visible[:, None, None, :]
    column = column.expand(-1, heads, visible.shape[1], -1)
    bias = bias.gather(2, row).gather(3, column)
    x = run_blocks(context, x, bias)[0][-1]
    tokens = len(context.extra_tokens)
    restore = order.argsort(dim=1).unsqueeze(2).expand(-1, -1, width)
    y = torch.cat([x[:, tokens:], noise.to(x.dtype)], 1).gather(1, restore)
    for block in student.decoder.blocks:
        z = grouped_conv(block, y)
        y = y + z if y.shape == z.shape else z
    prediction = student.decoder.proj(y)
    targets, utterance = targets_of(teacher, local.detach())
    wanted = targets.repeat_interleave(clones, 0)
    scale = width**-0.5
    frame = (prediction[mask].float() - wanted[mask]).square().sum(-1).mean()
    chunk = x[:, :tokens].mean(1).float() - utterance.repeat_interleave(
        clones, 0
    )
    return scale * (frame + chunk.square().sum(-1).mean())


@torch.no_grad()
def follow(teacher, student, decay):
    """Move the teacher towards the student, one parameter at a time."""
    for slow, fast in zip(
        teacher.context.parameters(),
        student.encoder.context.parameters(),
        strict=True,
    ):
        slow.mul_(decay).add_(fast, alpha=1 - decay)
