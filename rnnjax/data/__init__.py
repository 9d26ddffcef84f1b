"""From a file of songs to ids on the device."""
