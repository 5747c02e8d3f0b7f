"""Interaction with the layers of a viewer: tools, picking, painting, read-outs."""
