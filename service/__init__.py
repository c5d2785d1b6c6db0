"""The HTTP service: it loads a model bundle and answers predictions."""
