"""The benchmark: what the services do, beside what the node allows and what a plain client does."""
