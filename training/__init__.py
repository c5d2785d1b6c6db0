"""One offline run that reads the data, fits the models, and saves them for the service."""
