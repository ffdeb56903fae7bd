values = Hash()

Stored = LogEvent(
    event="Stored",
    params={"key": {"type": str, "idx": True}, "value": {"type": str}},
)
Output = LogEvent(
    event="ShieldedOutputCommitted",
    params={"commitment": {"type": str, "idx": True}, "output_index": {"type": int}, "note_index": {"type": int}},
)


@export
def store(key: str, value: str):
    values[key] = value
    Stored({"key": key, "value": value})


@export
def refuse(reason: str):
    assert False, reason


@export
def claim_output(output_payloads: list, note_index: int):
    Output({"commitment": "c", "output_index": 0, "note_index": note_index})
    Stored({"key": "output", "value": "stored"})
