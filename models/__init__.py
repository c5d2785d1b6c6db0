"""What a model is: the feature vector, the predictors, and the bundle that holds them on disk."""
