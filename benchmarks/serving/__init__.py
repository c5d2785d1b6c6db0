"""The service under load, beside what else one would serve this model with."""
