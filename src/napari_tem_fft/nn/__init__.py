"""The network that proposes Bragg spots; Keras is imported nowhere else, and only where it is needed."""
