"""The scoring of a catalogue, beside a loop with nothing else in it and beside Ray Data."""
