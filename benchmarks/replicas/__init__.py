"""1, 2 and 4 replicas behind the proxy of deploy/proxy/, on two cores, and what follows for other rates."""
