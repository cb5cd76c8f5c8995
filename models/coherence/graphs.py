"""The learned part of each network as a graph of plain layers, for runtimes other than PyTorch."""

from __future__ import annotations

from torch import nn

from models.coherence.network import Block, CoherenceNetwork
from models.coherence.published import PublishedNetwork
from models.coherence.trim import WHOLE, Sides
from models.runtimes.graph import ENTRANCE, Graph
from models.runtimes.published import published_graph, the_conv


def trunk_graph(network: CoherenceNetwork | PublishedNetwork, margin: Sides = WHOLE) -> Graph:
    """The layers of `network.trunk`, for images with a halo that isn't kept on these sides."""
    if isinstance(network, PublishedNetwork):
        return published_graph(network.network, margin, network.halo)
    graph, cuts = Graph(network.stem.planes), network.cuts
    inner = graph.crop(ENTRANCE, margin.times(cuts.entering[0]))
    inner = graph.conv(
        inner, network.enter, first=network.scale, rectified=True, empty=graph.channels - network.stem.channels
    )
    skips: list[str] = []
    for level, blocks in enumerate(network.encoder):
        if level:
            inner = graph.conv(inner, the_conv(network.down[level - 1]), rectified=True)
            inner = graph.crop(inner, margin.times(cuts.entering[level]))
        inner = _blocks(graph, inner, blocks)
        skips.append(inner)
    skips.pop()
    for level in reversed(range(len(network.decoder))):
        coarse = graph.crop(inner, margin.times(cuts.coarse[level]))
        larger = graph.apply("enlarge", graph.conv(coarse, the_conv(network.up[level])))
        skip = graph.crop(skips.pop(), margin.times(cuts.skips[level]))
        inner = _blocks(graph, graph.apply("add", skip, larger), network.decoder[level])
    inner = graph.conv(inner, network.leave)
    graph.crop(inner, margin.times(cuts.leaving))
    return graph


def _blocks(graph: Graph, image: str, blocks: nn.Module) -> str:
    for block in blocks.children():
        assert isinstance(block, Block)  # noqa: S101 - for the type checker: a level holds nothing else
        inner = graph.conv(image, block.first, norm=block.first_norm, rectified=True)
        inner = graph.conv(inner, block.second, norm=block.second_norm)
        image = graph.apply("relu", graph.apply("add", image, inner))
    return image
