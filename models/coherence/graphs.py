"""The learned part of each network as a graph of plain layers, for runtimes other than PyTorch."""

from __future__ import annotations

from torch import nn

from models.coherence.network import Block, CoherenceNetwork
from models.coherence.published import PublishedNetwork
from models.runtimes.graph import ENTRANCE, Graph
from models.runtimes.published import published_graph, the_conv


def trunk_graph(network: CoherenceNetwork | PublishedNetwork) -> Graph:
    """The layers of `network.trunk`."""
    if isinstance(network, PublishedNetwork):
        return published_graph(network.network)
    graph = Graph(network.stem.channels)
    inner = graph.conv(ENTRANCE, network.enter, first=network.scale, rectified=True)
    skips: list[str] = []
    for level, blocks in enumerate(network.encoder):
        if level:
            inner = graph.conv(inner, the_conv(network.down[level - 1]), rectified=True)
        inner = _blocks(graph, inner, blocks)
        skips.append(inner)
    skips.pop()
    for narrow, blocks in zip(reversed(network.up), reversed(network.decoder), strict=True):
        larger = graph.apply("enlarge", graph.conv(inner, the_conv(narrow)))
        inner = _blocks(graph, graph.apply("add", skips.pop(), larger), blocks)
    graph.conv(inner, network.leave)
    return graph


def _blocks(graph: Graph, image: str, blocks: nn.Module) -> str:
    for block in blocks.children():
        assert isinstance(block, Block)  # noqa: S101 - for the type checker: a level holds nothing else
        inner = graph.conv(image, block.first, norm=block.first_norm, rectified=True)
        inner = graph.conv(inner, block.second, norm=block.second_norm)
        image = graph.apply("relu", graph.apply("add", image, inner))
    return image
