from __future__ import annotations

import numpy as np
import torch

from pnas_sim.predict.mlp import StackedMlp
from pnas_sim.predict.stacked import draw_weights


def paper_logit(weights: dict[str, torch.Tensor], member: int, tokens: list[list[int]]) -> float:
    """Section 4.2 word for word, one cell: embed, join a block's four, average, two layers, one unit."""
    own = {name: value[member].double() for name, value in weights.items()}
    inputs, operations = own["input_embedding"], own["operation_embedding"]
    blocks = [torch.cat([inputs[a], inputs[b], operations[c], operations[d]]) for a, b, c, d in tokens]
    averaged = torch.stack(blocks).mean(dim=0)
    first = torch.relu(averaged @ own["first_weight"].flatten(0, 1) + own["first_bias"][0])
    second = torch.relu(first @ own["second_weight"] + own["second_bias"][0])
    return float(second @ own["last_weight"][:, 0] + own["bias"][0, 0])


def test_is_the_papers_network_exactly(paper_space) -> None:
    rng = np.random.default_rng(0)
    network = StackedMlp(paper_space, 100, 100)
    weights = draw_weights(network.shapes, 1.8, 0, 3)
    cells = np.concatenate([paper_space.sample(4, rng, blocks=b, unique=False) for b in (1, 2, 5)])
    logits = network.logits(weights, network.encode(cells)[None])
    assert logits.shape == (3, len(cells))
    sizes = paper_space.block_counts(cells)
    for row, size in enumerate(sizes.tolist()):
        tokens = cells[row, : 4 * size].reshape(size, 4).tolist()
        for member in range(3):
            assert abs(paper_logit(weights, member, tokens) - float(logits[member, row])) < 1e-5


def test_block_order_does_not_matter_but_sides_do(paper_space) -> None:
    network = StackedMlp(paper_space, 10, 10)
    weights = draw_weights(network.shapes, 0.0, 0, 1)
    texts = [
        "sep3(-2)+max3(-1) | id(-2)+sep5(-1)",
        "id(-2)+sep5(-1) | sep3(-2)+max3(-1)",
        "max3(-1)+sep3(-2) | id(-2)+sep5(-1)",
    ]
    one, blocks_swapped, sides_swapped = network.logits(
        weights, network.encode(paper_space.parse_many(texts))[None]
    )[0].tolist()
    assert abs(one - blocks_swapped) < 1e-6 < abs(one - sides_swapped)
