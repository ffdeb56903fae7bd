"""Bringing a node back: a home that is pushed, a state that is fetched; nothing signed twice."""
