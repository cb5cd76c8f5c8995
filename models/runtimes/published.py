"""The published layout as a graph of plain layers, for runtimes other than PyTorch."""

from __future__ import annotations

from torch import nn

from models.coherence.trim import WHOLE, Sides
from models.resunet import ResidualBlock, ResidualUNet
from models.runtimes.graph import ENTRANCE, Graph


def published_graph(network: ResidualUNet, margin: Sides = WHOLE, halo: int = 0) -> Graph:
    """The published layout up to its two heads, before their sigmoids; the mean is the first channel.

    Parameters
    ----------
    margin, halo
        As in `ResidualUNet.heads`.
    """
    cuts = network.cuts(halo)
    graph = Graph(_residual(network.encoder[0]).first.in_channels)
    inner, skips = ENTRANCE, []
    for level, block in enumerate(network.encoder):
        if level:
            inner = graph.apply("pool", inner)
        inner = graph.crop(inner, margin.times(cuts.entering[level]))
        inner = _residual_block(graph, inner, _residual(block))
        skips.append(inner)
    skips.pop()
    steps = zip(network.upsampling, network.decoder, reversed(cuts.coarse), reversed(cuts.skips), strict=True)
    for upsampling, block, coarse, beside in steps:
        enlarged = graph.apply("enlarge", graph.crop(inner, margin.times(coarse)))
        larger = graph.conv(enlarged, the_conv(upsampling.conv), rectified=True, after=1)  # Keras' "same"
        skip = graph.crop(skips.pop(), margin.times(beside))
        inner = _residual_block(graph, graph.apply("concat", skip, larger), _residual(block))
    inner = graph.crop(inner, margin.times(cuts.leaving))
    heads = [graph.conv(inner, head) for head in (network.mean, network.log_variance)]
    graph.apply("concat", *heads)
    return graph


def _residual_block(graph: Graph, image: str, block: ResidualBlock) -> str:
    inner = graph.conv(image, block.first, norm=block.first_norm, rectified=True)
    inner = graph.conv(inner, block.second, norm=block.second_norm)
    return graph.apply("relu", graph.apply("add", inner, graph.conv(image, block.shortcut)))


def _residual(module: nn.Module) -> ResidualBlock:
    assert isinstance(module, ResidualBlock)  # noqa: S101 - for the type checker: a level holds nothing else
    return module


def the_conv(module: object) -> nn.Conv2d:
    """A module that is a convolution."""
    assert isinstance(module, nn.Conv2d)  # noqa: S101 - for the type checker
    return module
