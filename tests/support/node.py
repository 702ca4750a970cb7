"""Node for tests that speak JavaScript."""

from tiercast_local.node import Node, NodeFailed, find_node

__all__ = ["Node", "NodeFailed", "find_node"]
