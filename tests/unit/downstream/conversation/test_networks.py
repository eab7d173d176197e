"""Conversation networks against loops over dialogues, roles and utterances."""

import math

import pytest
import torch

from speechbrain_e2v.downstream.conversation.networks import (
    NETWORKS,
    ConversationModel,
    MergedTurnsNetwork,
    RoutedNetwork,
    TimelineNetwork,
    merge_turns,
    network_called,
)
from speechbrain_e2v.downstream.conversation.recurrent import (
    RecurrentLayers,
    pick,
)

DIM, CLASSES = 5, 4
OPTIONS = {
    "gru": {},
    "lstm": {"cell": "lstm"},
    "both ways": {"bidirectional": True},
}
# Roles by turn: 0 speaker, 1 interlocutor, 2 somebody else.
DIALOGUES = {
    "alternating": [[0, 0], [1], [0], [1, 1, 1], [0], [1]],
    "one utterance a turn": [[0], [1], [0], [1], [0], [1]],
    "the speaker alone": [[0, 0, 0, 0]],
    "the interlocutor alone": [[1, 1]],
    "only others": [[2], [2, 2]],
    "others between": [[0], [2, 2], [1], [2], [0], [1]],
    "forty a turn": [[0] * 40, [1] * 40] * 3,
    "one utterance": [[1]],
}


def network(kind, options, seed=0):
    torch.manual_seed(seed)
    return kind(DIM, CLASSES, hidden=6, **OPTIONS[options]).eval()


def dialogue(turns, seed=0):
    roles = torch.tensor([role for turn in turns for role in turn])
    number = [i for i, turn in enumerate(turns) for _ in turn]
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(roles), DIM, generator=generator)
    return x, roles, torch.tensor(number)


def batch(dialogues, filling=float("nan")):
    lengths = torch.tensor([len(x) for x, _, _ in dialogues])
    shape = len(dialogues), int(lengths.max())
    x = torch.full((*shape, DIM), filling)
    roles, turns = torch.zeros(shape).long(), torch.zeros(shape).long()
    for i, (values, who, turn) in enumerate(dialogues):
        x[i, : len(values)] = values
        roles[i, : len(values)] = who
        turns[i, : len(values)] = turn
    return x, lengths, roles, turns


def attention(module, x):
    query, key, value = module.query(x), module.key(x), module.value(x)
    scores = query @ key.T / math.sqrt(query.shape[1])
    return scores.softmax(dim=1) @ value


def stream(module, states, chosen):
    rows = [state for state, yes in zip(states, chosen, strict=True) if yes]
    if not rows:
        return torch.zeros(module.output_dim)
    outputs, _ = module.recurrent.cells(torch.stack(rows)[None])
    return attention(module.attention, outputs[0]).mean(dim=0)


def by_hand(routed, x, roles):
    """One dialogue of the routed network, forwards, without any mask."""
    states, last = routed.interaction.cells(x[None])
    states = states[0]
    parts = [
        stream(routed.speaker, states, roles == 0),
        stream(routed.interlocutor, states, roles == 1),
        states[-1],
    ]
    return routed.output_layer(torch.cat(parts))


@pytest.mark.parametrize("name", DIALOGUES)
def test_routed_network_by_hand(name):
    routed = network(RoutedNetwork, "gru")
    x, roles, turns = dialogue(DIALOGUES[name])
    with torch.no_grad():
        expected = by_hand(routed, x, roles)
        found = routed(*batch([(x, roles, turns)]))[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", DIALOGUES)
def test_merged_network_by_hand(name):
    merged = network(MergedTurnsNetwork, "gru")
    x, roles, turns = dialogue(DIALOGUES[name])
    number = range(len(DIALOGUES[name]))
    means = torch.stack([x[turns == i].mean(dim=0) for i in number])
    who = torch.tensor([turn[0] for turn in DIALOGUES[name]])
    with torch.no_grad():
        expected = by_hand(merged.routed, means, who)
        found = merged(*batch([(x, roles, turns)]))[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS.values())
@pytest.mark.parametrize("options", OPTIONS)
def test_company_does_not_matter(kind, options):
    """Alone, or beside any others, and whatever stands in the padding."""
    chosen = network(kind, options)
    dialogues = [dialogue(d, i) for i, d in enumerate(DIALOGUES.values())]
    with torch.no_grad():
        together = chosen(*batch(dialogues))
        x, lengths, roles, turns = batch(dialogues, filling=1e4)
        real = torch.arange(x.shape[1]) < lengths[:, None]
        other = chosen(
            x,
            lengths,
            roles.masked_fill(~real, 1),
            turns.masked_fill(~real, 77),
        )
        alone = [chosen(*batch([d]))[0] for d in dialogues]
        backwards = chosen(*batch(dialogues[::-1])).flip(0)
    assert together.isfinite().all()
    for found in (torch.stack(alone), other, backwards):
        torch.testing.assert_close(found, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS.values())
def test_padding_gets_no_gradient_and_every_utterance_does(kind):
    chosen = network(kind, "gru")
    x, lengths, roles, turns = batch(
        [dialogue([[0]] * 9 + [[1]] * 13), dialogue([[0], [1]] * 6 + [[1]])],
        filling=0.0,
    )
    assert lengths.tolist() == [22, 13]  # 13 of 22 lost its last utterance
    x.requires_grad_()
    chosen(x, lengths, roles, turns).square().sum().backward()
    used = x.grad.abs().sum(dim=2) > 0
    assert used[0].all() and used[1, :13].all() and not used[1, 13:].any()


def test_parameters_of_all_get_finite_gradients_without_interlocutor():
    routed = network(RoutedNetwork, "gru")
    x, lengths, roles, turns = batch([dialogue([[0, 0]])], filling=0.0)
    routed(x, lengths, roles, turns).square().sum().backward()
    for name, parameter in routed.named_parameters():
        assert parameter.grad.isfinite().all(), name
        idle = name.startswith("interlocutor")
        assert (parameter.grad.abs().sum() > 0) != idle or (
            "key.bias" in name  # softmax does not see it
        ), name


def test_who_speaks_matters_to_the_routed_network_alone():
    x, _, turns = dialogue([[0], [1], [0]])
    orders = [torch.tensor(roles) for roles in ([0, 1, 0], [1, 0, 1])]
    with torch.no_grad():
        for kind, alike in ((RoutedNetwork, False), (TimelineNetwork, True)):
            chosen = network(kind, "gru")
            a, b = (chosen(*batch([(x, who, turns)])) for who in orders)
            assert torch.equal(a, b) == alike


@pytest.mark.parametrize(
    ("dim", "millions"),
    [(768, 3.160), (378, 2.860), (1146, 3.450), (856, 3.227), (1234, 3.517)],
)
def test_numbers_of_parameters(dim, millions):
    with torch.device("meta"):
        routed = RoutedNetwork(dim, 4)
    count = sum(p.numel() for p in routed.parameters())
    assert round(count / 1e6, 3) == millions


def test_pick_keeps_the_order():
    states = torch.arange(12.0).reshape(2, 6, 1)
    chosen = torch.tensor([[0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0]]).bool()
    picked, count = pick(states, chosen)
    assert count.tolist() == [3, 1]
    assert picked[0, :, 0].tolist() == [1, 2, 5]
    assert picked[1, 0, 0] == 10


def test_merged_turns_of_a_batch():
    x, lengths, roles, turns = merge_turns(
        *batch([dialogue([[0, 0], [1]]), dialogue([[1], [2], [1], [0]])])
    )
    assert lengths.tolist() == [2, 4]
    assert roles[0, :2].tolist() == [0, 1]
    assert roles[1].tolist() == [1, 2, 1, 0]
    assert x[0, :2].isfinite().all() and x[0, 2:].eq(0).all()


def test_last_states_read_backwards_end_at_the_first_step():
    layers = RecurrentLayers(DIM, hidden=3, bidirectional=True).eval()
    x = torch.randn(1, 4, DIM)
    with torch.no_grad():
        outputs, last = layers(x, torch.tensor([4]))
    torch.testing.assert_close(last[0, :3], outputs[0, -1, :3])
    torch.testing.assert_close(last[0, 3:], outputs[0, 0, 3:])


def test_unknown_cell():
    with pytest.raises(ValueError, match="cell is 'rnn'"):
        RecurrentLayers(DIM, cell="rnn")


def test_learned_text_is_the_mean_of_its_units():
    torch.manual_seed(0)
    model = ConversationModel(TimelineNetwork(2 + 3, 4, hidden=6), 7, 3).eval()
    vectors = torch.randn(3, 2)
    units = torch.tensor([[1, 7, 7], [2, 0, 0], [0, 0, 0]])
    table = model.units.weight
    text = [table[[1, 7, 7]].mean(dim=0), table[2], torch.zeros(3)]
    rows = torch.tensor([[2, 0, 1]])
    lengths, roles = torch.tensor([3]), torch.zeros(1, 3).long()
    x = torch.stack([torch.cat([vectors[i], text[i]]) for i in rows[0]])
    with torch.no_grad():
        found = model(vectors, units, rows, lengths, roles, roles)
        expected = model.network(x[None], lengths, roles, roles)
    torch.testing.assert_close(found, expected)


def test_networks_by_name():
    made = network_called("merged", hidden=6)(input_dim=DIM, n_classes=CLASSES)
    assert isinstance(made, MergedTurnsNetwork)
    with pytest.raises(ValueError, match="'route'; there are routed, timeline"):
        network_called("route")
