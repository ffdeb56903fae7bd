"""Who founded the network: the operator that the validators' contract obeys, and a share of fees."""

owner = Variable()


@construct
def seed(vk: str):
    owner.set(vk)


@export
def current_owner():
    return owner.get()
