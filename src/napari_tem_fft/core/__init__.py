"""The science: arrays and small frozen dataclasses, no files, no GUI, no Keras.

Conventions, fixed here once for the whole package:

- axes are (y, x), row 0 on top, as in the stored image;
- lengths are in nm;
- a spatial frequency is called **g**, in 1/nm and without 2 pi, so that d = 1 / |g|;
- an azimuth is in degrees, counter-clockwise from +x *as displayed* (so +y of the array points to
  270 degrees), modulo 180 because +g and -g are one datum;
- of each pair +g / -g the member with g_x > 0, or g_x = 0 and g_y > 0, is stored;
- power is given as SNR: power over the mean noise power at that frequency, so that
  P(SNR > t) = exp(-t) where there is no crystal.
"""
