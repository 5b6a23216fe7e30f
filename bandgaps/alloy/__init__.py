"""What does a mixture of two say? The pseudobinary alloy, its representations, its curve, what was measured."""
