"""Training and evaluation of networks; only this package uses Keras and TensorFlow."""
