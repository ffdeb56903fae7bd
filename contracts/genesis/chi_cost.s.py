"""How much chi one unit of currency buys. The node reads S["value"] when it charges fees."""

S = Hash()


@construct
def seed(rate: int = 20):
    assert isinstance(rate, int) and rate > 0, "the rate must be a whole number above 0"
    S["value"] = rate


@export
def current_value():
    return S["value"]
