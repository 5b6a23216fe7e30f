"""TensorFlow for the tests of this room: one processor as two devices, which must be said before it is first used."""

from __future__ import annotations

from bandgaps.structure.backend import tf

(_cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
