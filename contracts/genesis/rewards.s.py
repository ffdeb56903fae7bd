"""How a fee is shared: validators, burnt, foundation, developer. The node reads S["value"]."""

S = Hash()


@construct
def seed():
    S["value"] = [0.88, 0.01, 0.01, 0.1]


@export
def current_value():
    return S["value"]
