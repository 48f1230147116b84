"""Who samples, each rollout from its own random stream."""
