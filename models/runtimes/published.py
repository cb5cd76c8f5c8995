"""The published layout as a graph of plain layers, for runtimes other than PyTorch."""

from __future__ import annotations

from torch import nn

from models.resunet import ResidualBlock, ResidualUNet
from models.runtimes.graph import ENTRANCE, Graph


def published_graph(network: ResidualUNet) -> Graph:
    """The published layout up to its two heads, before their sigmoids; the mean is the first channel."""
    graph = Graph(_residual(network.encoder[0]).first.in_channels)
    inner, skips = ENTRANCE, []
    for level, block in enumerate(network.encoder):
        if level:
            inner = graph.apply("pool", inner)
        inner = _residual_block(graph, inner, _residual(block))
        skips.append(inner)
    skips.pop()
    for upsampling, block in zip(network.upsampling, network.decoder, strict=True):
        enlarged = graph.apply("enlarge", inner)
        larger = graph.conv(enlarged, the_conv(upsampling.conv), rectified=True, after=1)  # Keras' "same"
        inner = _residual_block(graph, graph.apply("concat", skips.pop(), larger), _residual(block))
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
