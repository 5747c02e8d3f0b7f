"""Training and evaluation of networks; the only place of Keras and TensorFlow."""
